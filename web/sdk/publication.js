/**
 * An own track in the room.
 */
import { PatchbayError } from "./errors.js";

/**
 * @typedef {object} PublicationHost what a publication needs of its room
 * @property {(publication: Publication) => Promise<void>} announceMute
 * @property {(publication: Publication) => Promise<void>} unpublish
 */

/** A publication was muted or unmuted, or sends another track. */
export class PublicationChangeEvent extends Event {
  constructor() {
    super("change");
  }
}

export class Publication extends EventTarget {
  #host;
  #ended = false;

  /**
   * @param {import("./protocol.js").Source} source
   * @param {MediaStreamTrack | null} track
   * @param {{muted: boolean, codec?: string, host: PublicationHost}} options
   */
  constructor(source, track, { muted, codec, host }) {
    super();
    this.#host = host;
    /** What it carries. */
    this.source = source;
    /** What is sent. */
    this.track = track;
    /** Silenced by its owner. */
    this.muted = muted;
    /** That one codec alone, if one was asked for. */
    this.codec = codec;
    /** The id the server minted, once it has. @type {number | null} */
    this.id = null;
    /** The media section. @type {RTCRtpTransceiver | null} */
    this.transceiver = null;
    /** Its id. @type {string | null} */
    this.mid = null;
    if (track) track.enabled = !muted;
  }

  /** Whether it was unpublished. */
  get isEnded() {
    return this.#ended;
  }

  /** Silences it, here at once and for everybody else by a message. */
  async mute() {
    await this.#setMuted(true);
  }

  /** Lets it be heard or seen again. */
  async unmute() {
    await this.#setMuted(false);
  }

  /**
   * Sends another track of the same kind, or none, without negotiation.
   * @param {MediaStreamTrack | null} track
   */
  async replaceTrack(track) {
    this.#check();
    if (track) track.enabled = !this.muted;
    this.track = track;
    await this.transceiver?.sender.replaceTrack(track);
    this.dispatchEvent(new PublicationChangeEvent());
  }

  /** Takes it out of the room. */
  async unpublish() {
    if (this.#ended) return;
    this.#ended = true;
    await this.#host.unpublish(this);
  }

  /**
   * Fits what is sent to who watches. For the room alone.
   * @param {(height: number | undefined) => RTCRtpEncodingParameters} encodingFor
   */
  tune(encodingFor) {
    const sender = this.transceiver?.sender;
    if (this.source !== "camera" || !this.track || typeof sender?.getParameters !== "function") return;
    const parameters = sender.getParameters();
    const [encoding] = parameters.encodings ?? [];
    const wanted = encodingFor(this.track.getSettings?.().height);
    if (!encoding || (encoding.maxBitrate === wanted.maxBitrate && encoding.scaleResolutionDownBy === wanted.scaleResolutionDownBy)) return;
    Object.assign(encoding, wanted);
    sender.setParameters(parameters).catch(() => {});
  }

  /** @param {boolean} muted */
  async #setMuted(muted) {
    this.#check();
    if (this.track) this.track.enabled = !muted;
    if (this.muted === muted) return;
    this.muted = muted;
    this.dispatchEvent(new PublicationChangeEvent());
    await this.#host.announceMute(this);
  }

  #check() {
    if (this.#ended) throw new PatchbayError("closed", "This track is no longer published.");
  }
}
