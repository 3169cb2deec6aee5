/**
 * One `RTCPeerConnection` to the SFU. The client makes every offer, one at a time; the SFU answers.
 *
 * Order of an exchange: `createOffer`, ask the server, apply the ICE servers, `setLocalDescription`,
 * `setRemoteDescription`. Gathering starts only with the fourth step, so ICE servers may arrive with the answer, and
 * an offer that the server refuses leaves nothing to roll back.
 */
import { assignMids } from "./sdp.js";
import { codecPreferences } from "./policy/codec.js";

/**
 * @typedef {{answer: import("./protocol.js").Answer, iceServers?: RTCIceServer[]}} Exchanged
 * @typedef {{sdp: string, midOf: (transceiver: RTCRtpTransceiver) => string}} Offered
 */

/** Each interface of the device may fail with each server: the first few tell enough. */
const TROUBLES = 8;

/** The peer connection's state changed. */
export class TransportStateEvent extends Event {
  /** @param {RTCPeerConnectionState} state */
  constructor(state) {
    super("statechange");
    this.state = state;
  }
}

/** A local candidate was found. */
export class CandidateEvent extends Event {
  /** @param {{candidate: string, mid?: string}} candidate an empty text ends the candidates */
  constructor(candidate) {
    super("candidate");
    this.candidate = candidate;
  }
}

/** @typedef {Event & {kind: import("./protocol.js").TroubleKind, detail: string}} TroubleEvent something the server can't see */

export class Transport extends EventTarget {
  #platform;
  /** @type {Promise<unknown>} */
  #queue = Promise.resolve();
  #closed = false;
  /** What was told already. @type {Set<string>} */
  #troubles = new Set();
  /** How many offers were made. */
  offers = 0;

  /**
   * @param {import("./platform.js").Platform} platform
   * @param {{hasData?: boolean}} [options] `hasData`: the first offer makes room for data channels
   */
  constructor(platform, { hasData = false } = {}) {
    super();
    this.hasData = hasData;
    this.#platform = platform;
    /** The browser's object. */
    this.connection = new platform.RTCPeerConnection({ bundlePolicy: "max-bundle", rtcpMuxPolicy: "require" });
    // A section for data comes with a channel only. This one says nothing: it is negotiated out of band, with nobody.
    if (hasData) this.connection.createDataChannel("", { negotiated: true, id: 0 });
    this.connection.onconnectionstatechange = () => this.dispatchEvent(new TransportStateEvent(this.connection.connectionState));
    this.connection.onicecandidate = ({ candidate }) => {
      this.dispatchEvent(new CandidateEvent({ candidate: candidate?.candidate ?? "", mid: candidate?.sdpMid ?? undefined }));
    };
    this.connection.onicecandidateerror = ({ url, errorCode, errorText }) => {
      const kind = errorCode === 401 || errorCode === 403 ? "turn_refused" : "turn_unreachable";
      const detail = `${url}: ${errorCode} ${errorText ?? ""}`.replace(/[^\x20-\x7e]/g, "?").slice(0, 500).trim();
      if (this.#troubles.has(detail) || this.#troubles.size >= TROUBLES) return;
      this.#troubles.add(detail);
      this.dispatchEvent(Object.assign(new Event("trouble"), { kind, detail }));
    };
  }

  /** @returns {RTCPeerConnectionState} */
  get state() {
    return this.#closed ? "closed" : this.connection.connectionState;
  }

  /**
   * Adds a section to receive on. It is negotiated with the next offer.
   * @param {"audio" | "video"} kind
   */
  addReceiver(kind) {
    const transceiver = this.connection.addTransceiver(kind, { direction: "recvonly" });
    this.#prefer(transceiver, codecPreferences(this.#platform.codecs(kind, "receive"), kind));
    return transceiver;
  }

  /**
   * Adds a section to send on. It is negotiated with the next offer.
   * @param {"audio" | "video"} kind
   * @param {MediaStreamTrack | null} track
   * @param {RTCRtpEncodingParameters} encoding
   * @param {string} [codec] that one codec alone
   */
  addSender(kind, track, encoding, codec) {
    const transceiver = this.connection.addTransceiver(track ?? kind, { direction: "sendonly", sendEncodings: [encoding] });
    this.#prefer(transceiver, codecPreferences(this.#platform.codecs(kind, "send"), kind, codec));
    return transceiver;
  }

  /**
   * Makes one offer, after any that is under way.
   * @param {() => void} prepare adds what the offer shall hold
   * @param {(offered: Offered) => Promise<Exchanged>} exchange asks the server
   * @returns {Promise<Exchanged>}
   */
  negotiate(prepare, exchange) {
    const run = async () => {
      const pc = this.connection;
      prepare();
      const offer = await pc.createOffer();
      const sdp = offer.sdp ?? "";
      const mids = assignMids(sdp, pc.getTransceivers().filter(({ direction }) => direction !== "stopped"));
      const exchanged = await exchange({ sdp, midOf: (transceiver) => mids.get(transceiver) ?? "" });
      if (exchanged.iceServers && exchanged.iceServers.length > 0) {
        this.useIceServers(exchanged.iceServers);
      }
      this.offers += 1;
      await pc.setLocalDescription(offer);
      await pc.setRemoteDescription({ type: "answer", sdp: exchanged.answer.sdp });
      return exchanged;
    };
    const result = this.#queue.then(run);
    this.#queue = result.catch(() => {});
    return result;
  }

  /**
   * ICE servers for the next time candidates are gathered: the first offer, or an ICE restart.
   * @param {RTCIceServer[]} iceServers
   */
  useIceServers(iceServers) {
    this.connection.setConfiguration({ ...this.connection.getConfiguration(), iceServers });
  }

  /**
   * A candidate of the server.
   * @param {{candidate: string, mid?: string}} candidate
   */
  async addCandidate({ candidate, mid }) {
    await this.#queue;
    try {
      await this.connection.addIceCandidate({ candidate, sdpMid: mid ?? "0" });
    } catch {
      // A candidate of a generation that an ICE restart has ended: of no use, and of no harm.
    }
  }

  /**
   * A data channel; null where the transport was made without room for one.
   * @param {string} label
   * @param {RTCDataChannelInit} init
   */
  openChannel(label, init) {
    return this.hasData && !this.#closed ? this.connection.createDataChannel(label, init) : null;
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.connection.onconnectionstatechange = this.connection.onicecandidate = this.connection.onicecandidateerror = null;
    this.connection.close();
  }

  /**
   * @param {RTCRtpTransceiver} transceiver
   * @param {import("./policy/codec.js").Codec[]} codecs
   */
  #prefer(transceiver, codecs) {
    if (codecs.length === 0 || typeof transceiver.setCodecPreferences !== "function") return;
    try {
      transceiver.setCodecPreferences(/** @type {any} */ (codecs));
    } catch {
      // The browser knows better which codecs this section can have; its own order stands.
    }
  }
}
