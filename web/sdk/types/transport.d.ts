/** The peer connection's state changed. */
export class TransportStateEvent extends Event {
    /** @param {RTCPeerConnectionState} state */
    constructor(state: RTCPeerConnectionState);
    state: RTCPeerConnectionState;
}
/** A local candidate was found. */
export class CandidateEvent extends Event {
    /** @param {{candidate: string, mid?: string}} candidate an empty text ends the candidates */
    constructor(candidate: {
        candidate: string;
        mid?: string;
    });
    candidate: {
        candidate: string;
        mid?: string;
    };
}
/** @typedef {Event & {kind: import("./protocol.js").TroubleKind, detail: string}} TroubleEvent something the server can't see */
export class Transport extends EventTarget {
    /**
     * @param {import("./platform.js").Platform} platform
     * @param {{hasData?: boolean}} [options] `hasData`: the first offer makes room for data channels
     */
    constructor(platform: import("./platform.js").Platform, { hasData }?: {
        hasData?: boolean;
    });
    /** How many offers were made. */
    offers: number;
    hasData: boolean;
    /** The browser's object. */
    connection: RTCPeerConnection;
    /** @returns {RTCPeerConnectionState} */
    get state(): RTCPeerConnectionState;
    /**
     * Adds a section to receive on. It is negotiated with the next offer.
     * @param {"audio" | "video"} kind
     */
    addReceiver(kind: "audio" | "video"): RTCRtpTransceiver;
    /**
     * Adds a section to send on. It is negotiated with the next offer.
     * @param {"audio" | "video"} kind
     * @param {MediaStreamTrack | null} track
     * @param {RTCRtpEncodingParameters} encoding
     * @param {string} [codec] that one codec alone
     */
    addSender(kind: "audio" | "video", track: MediaStreamTrack | null, encoding: RTCRtpEncodingParameters, codec?: string): RTCRtpTransceiver;
    /**
     * Makes one offer, after any that is under way.
     * @param {() => void} prepare adds what the offer shall hold
     * @param {(offered: Offered) => Promise<Exchanged>} exchange asks the server
     * @returns {Promise<Exchanged>}
     */
    negotiate(prepare: () => void, exchange: (offered: Offered) => Promise<Exchanged>): Promise<Exchanged>;
    /**
     * ICE servers for the next time candidates are gathered: the first offer, or an ICE restart.
     * @param {RTCIceServer[]} iceServers
     */
    useIceServers(iceServers: RTCIceServer[]): void;
    /**
     * A candidate of the server.
     * @param {{candidate: string, mid?: string}} candidate
     */
    addCandidate({ candidate, mid }: {
        candidate: string;
        mid?: string;
    }): Promise<void>;
    /**
     * A data channel; null where the transport was made without room for one.
     * @param {string} label
     * @param {RTCDataChannelInit} init
     */
    openChannel(label: string, init: RTCDataChannelInit): RTCDataChannel | null;
    close(): void;
    #private;
}
export type Exchanged = {
    answer: import("./protocol.js").Answer;
    iceServers?: RTCIceServer[];
};
export type Offered = {
    sdp: string;
    midOf: (transceiver: RTCRtpTransceiver) => string;
};
/**
 * something the server can't see
 */
export type TroubleEvent = Event & {
    kind: import("./protocol.js").TroubleKind;
    detail: string;
};
