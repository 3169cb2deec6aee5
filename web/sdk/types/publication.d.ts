/**
 * @typedef {object} PublicationHost what a publication needs of its room
 * @property {(publication: Publication) => Promise<void>} announceMute
 * @property {(publication: Publication) => Promise<void>} unpublish
 */
/** A publication was muted or unmuted, or sends another track. */
export class PublicationChangeEvent extends Event {
    constructor();
}
export class Publication extends EventTarget {
    /**
     * @param {import("./protocol.js").Source} source
     * @param {MediaStreamTrack | null} track
     * @param {{muted: boolean, codec?: string, host: PublicationHost}} options
     */
    constructor(source: import("./protocol.js").Source, track: MediaStreamTrack | null, { muted, codec, host }: {
        muted: boolean;
        codec?: string;
        host: PublicationHost;
    });
    /** What it carries. */
    source: import("./protocol.js").Source;
    /** What is sent. */
    track: MediaStreamTrack | null;
    /** Silenced by its owner. */
    muted: boolean;
    /** That one codec alone, if one was asked for. */
    codec: string | undefined;
    /** The id the server minted, once it has. @type {number | null} */
    id: number | null;
    /** The media section. @type {RTCRtpTransceiver | null} */
    transceiver: RTCRtpTransceiver | null;
    /** Its id. @type {string | null} */
    mid: string | null;
    /** Whether it was unpublished. */
    get isEnded(): boolean;
    /** Silences it, here at once and for everybody else by a message. */
    mute(): Promise<void>;
    /** Lets it be heard or seen again. */
    unmute(): Promise<void>;
    /**
     * Sends another track of the same kind, or none, without negotiation.
     * @param {MediaStreamTrack | null} track
     */
    replaceTrack(track: MediaStreamTrack | null): Promise<void>;
    /** Takes it out of the room. */
    unpublish(): Promise<void>;
    /**
     * Fits what is sent to who watches. For the room alone.
     * @param {(height: number | undefined) => RTCRtpEncodingParameters} encodingFor
     */
    tune(encodingFor: (height: number | undefined) => RTCRtpEncodingParameters): void;
    #private;
}
/**
 * what a publication needs of its room
 */
export type PublicationHost = {
    announceMute: (publication: Publication) => Promise<void>;
    unpublish: (publication: Publication) => Promise<void>;
};
