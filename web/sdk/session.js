/**
 * One stay in a room: signaling, a transport, and which sections of it carry which publications and slots. A rejoin
 * makes a new one and lets the old one go. It says `lost` once when it cannot go on by itself.
 */
import { PatchbayError } from "./errors.js";
import { kindOf } from "./protocol.js";
import { Signaling } from "./signaling.js";
import { Transport } from "./transport.js";
import { abortable, delay } from "./platform.js";
import { encodingFor } from "./policy/encoding.js";

/** How long media may take to flow after a join. */
const CONNECT_TIMEOUT_MS = 12_000;

/** After this long a first path that failed is looked for again; it doubles. */
const FIRST_RETRY_MS = 250;
/** After twice this long another transport is tried in place of one that failed, where topics are all there is; it doubles. */
const RENEW_MS = 5_000;
/** Refusals that pass. */
const PATIENT = new Set(["rate_limited", "overloaded"]);

/** @typedef {Event & {error: PatchbayError}} LostEvent `lost`: the session cannot go on */

/**
 * @typedef {object} Desired what the session shall carry
 * @property {readonly import("./publication.js").Publication[]} publications
 * @property {readonly import("./slot.js").Slot[]} slots
 * @property {(slot: import("./slot.js").Slot) => import("./protocol.js").SlotSource | null} sourceOf
 */

export class Session extends EventTarget {
  #platform;
  #signaling;
  #transport;
  /** @type {Map<import("./publication.js").Publication, RTCRtpTransceiver>} */
  #publications = new Map();
  /** @type {Map<import("./slot.js").Slot, RTCRtpTransceiver>} */
  #slots = new Map();
  /** Sections that carried a publication once. @type {RTCRtpTransceiver[]} */
  #spare = [];
  /** The server has had no offer yet, or one failed: it does not know what the sections are for by now. */
  #isOwing = true;
  #ended = false;
  #hasJoined = false;
  /** ICE restarts before media has flowed. */
  #firstTries = 0;
  #hasFlowed = false;
  /** Soon after media has flowed. @type {import("./path-watch.js").PathWatch | null} */
  #path = null;
  /** @type {any} */
  #timer;
  #renewMs = RENEW_MS;

  /**
   * @param {{url: string | URL, token?: string, memory?: import("./signaling.js").ConnectionMemory, openTimeoutMs?: number,
   *   hasData?: boolean, platform: import("./platform.js").Platform}} options
   */
  constructor({ url, platform, hasData = false, ...options }) {
    super();
    this.#platform = platform;
    this.#signaling = new Signaling(url, { ...options, platform });
    this.#signaling.addEventListener("step", (event) => {
      const { step } = /** @type {import("./signaling.js").StepEvent} */ (event);
      if (!this.#ended) this.dispatchEvent(Object.assign(new Event("step"), { step }));
    });
    try {
      this.#transport = new Transport(platform, { hasData });
    } catch (cause) {
      this.#signaling.close();
      throw new PatchbayError("unsupported", "This browser could not start WebRTC.", { cause });
    }
  }

  /** How many offers were made. */
  get offers() {
    return this.#transport.offers;
  }
  /** The browser's connection, for statistics. */
  get peerConnection() {
    return this.#transport.connection;
  }
  /** As the browser says, except that a dead path is `disconnected` before it notices. @returns {RTCPeerConnectionState} */
  get mediaState() {
    const state = this.#transport.state;
    return state === "connected" && this.#path?.isDead ? "disconnected" : state;
  }
  /** Whether there is a connection to signaling now. */
  get isConnected() {
    return this.#signaling.isOpen;
  }
  /** Whether nothing but topics is wanted of it: they can do without a path for media. */
  get isDataOnly() {
    return this.#publications.size + this.#slots.size === 0 && this.#transport.hasData;
  }
  /** Milliseconds to signaling and back. */
  get signalingRttMs() {
    return this.#signaling.rttMs;
  }

  /**
   * Joins in one round trip: the offer goes with the request.
   * @param {Omit<Extract<import("./protocol.js").ClientRequest, {type: "join"}>, "type" | "offer">} request
   * @param {Desired} desired
   * @param {(joined: import("./protocol.js").Joined) => void} onJoined called before any later event is delivered
   * @param {AbortSignal} [signal]
   */
  async join(request, desired, onJoined, signal) {
    const abort = () => this.close();
    signal?.addEventListener("abort", abort, { once: true });
    try {
      await abortable(this.#negotiate(desired, async (offer) => {
        this.#listen();
        const joined = /** @type {import("./protocol.js").Joined} */ (await this.#signaling.request({ type: "join", ...request, offer }));
        this.#hasJoined = true;
        onJoined(joined);
        if (!joined.answer) throw new PatchbayError("media_failed", "The server gave no answer for media.");
        return { answer: joined.answer, iceServers: joined.ice_servers };
      }), signal);
      if (this.#transport.state !== "connected") this.#expectPath();
    } catch (error) {
      this.close();
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /**
   * Makes the session carry what is desired, with at most one offer.
   * @param {Desired} desired
   */
  async sync(desired) {
    await this.#negotiate(desired, async (offer) => {
      const answer = /** @type {import("./protocol.js").Answer} */ (/** @type {unknown} */ (await this.#signaling.request({ type: "offer", ...offer })));
      return { answer };
    });
  }

  /**
   * @param {import("./protocol.js").ClientRequest} request
   * @returns {Promise<import("./protocol.js").Reply>}
   */
  request(request) {
    return this.#signaling.request(request);
  }

  /**
   * A data channel on this session's transport; null if it was made without.
   * @param {string} label
   * @param {RTCDataChannelInit} init
   */
  openChannel(label, init) {
    return this.#ended ? null : this.#transport.openChannel(label, init);
  }

  /** Ends it: leaves the room if there is still a way to say so. */
  close() {
    if (this.#ended) return;
    this.#ended = true;
    this.#platform.clearTimeout(this.#timer);
    this.#path?.stop();
    this.#signaling.close();
    this.#transport.close();
  }

  #listen() {
    this.#signaling.addEventListener("close", (event) => {
      // A join that can't be made says so itself.
      if (this.#hasJoined) this.#lose(/** @type {import("./signaling.js").SignalingCloseEvent} */ (event).error);
    });
    this.#signaling.addEventListener("message", (event) => {
      const { message } = /** @type {import("./signaling.js").MessageEvent} */ (event);
      this.#receive(message);
    });
    this.#signaling.addEventListener("resumed", (event) => {
      const { snapshot } = /** @type {import("./signaling.js").ResumedEvent} */ (event);
      if (this.#ended) return;
      if (snapshot) this.#takeSnapshot(snapshot);
      this.#path?.answered();
    });
    this.#listenToTransport();
  }

  #listenToTransport() {
    this.#transport.addEventListener("candidate", (event) => {
      const { candidate } = /** @type {import("./transport.js").CandidateEvent} */ (event);
      this.#signaling.request({ type: "candidate", ...candidate }).catch(() => {});
    });
    this.#transport.addEventListener("trouble", (event) => {
      const { kind, detail } = /** @type {import("./transport.js").TroubleEvent} */ (event);
      this.#signaling.request({ type: "trouble", kind, detail }).catch(() => {});
    });
    this.#transport.addEventListener("statechange", () => this.#mediaStateChanged());
  }

  /**
   * The room as it is after a restart of the server. Media went on meanwhile, and goes on.
   * @param {import("./protocol.js").Snapshot} snapshot
   */
  #takeSnapshot(snapshot) {
    if (snapshot.ice_servers.length > 0) this.#transport.useIceServers(snapshot.ice_servers);
    const known = new Map((snapshot.participant.tracks ?? []).map((track) => [track.id, track]));
    for (const { id, muted } of this.#publications.keys()) {
      const track = id === null ? undefined : known.get(id);
      // What the server forgot goes into another offer.
      if (!track) this.#isOwing = true;
      else if (track.muted !== muted) this.#signaling.request({ type: "mute", track: track.id, muted }).catch(() => {});
    }
    this.dispatchEvent(Object.assign(new Event("snapshot"), { snapshot }));
  }

  /** @param {import("./protocol.js").ServerMessage} message */
  #receive(message) {
    if (this.#ended) return;
    if (message.type === "candidate") this.#transport.addCandidate(message);
    else if (message.type === "ice_servers") this.#transport.useIceServers(message.ice_servers);
    else if (message.type === "transport" && message.state === "failed") this.#lose(new PatchbayError("media_failed", message.reason));
    else this.dispatchEvent(Object.assign(new Event("message"), { message }));
  }

  #mediaStateChanged() {
    const state = this.#transport.state;
    if (this.#ended) return;
    if (state === "connected") {
      this.#platform.clearTimeout(this.#timer);
      this.#renewMs = RENEW_MS;
      if (!this.#hasFlowed) this.#watchPath();
      this.#hasFlowed = true;
    } else if (state === "failed" && !this.#hasFlowed) {
      this.#retryFirstPath();
    }
    this.#path?.stateChanged();
    this.dispatchEvent(new Event("mediastate"));
  }

  /**
   * A first path may fail at once, as when the browser has not noticed yet that its address has changed. The join's own
   * time limit stands.
   */
  async #retryFirstPath() {
    await delay(this.#platform, FIRST_RETRY_MS * 2 ** this.#firstTries++);
    if (this.#transport.state === "failed") this.#restartIce();
  }

  /** Fetched behind the first media, as nothing goes wrong with a path before there is one. */
  async #watchPath() {
    const { PathWatch } = await import("./path-watch.js");
    if (this.#ended) return;
    this.#path = new PathWatch(this.#platform, {
      stats: () => this.#transport.connection.getStats(),
      state: () => this.#transport.state,
      isPublishing: () => [...this.#publications.keys()].some(({ track, muted }) => track !== null && !muted),
      rttMs: () => this.#signaling.rttMs,
      ask: (timeoutMs) => this.#signaling.probe(timeoutMs),
      restart: () => this.#restartIce(),
      giveUp: () => this.#lose(noPath()),
      changed: () => this.dispatchEvent(new Event("mediastate")),
    });
    this.#path.stateChanged();
  }

  /** Tries to reach signaling at once. */
  retryNow() {
    this.#signaling.retryNow();
  }

  /** Looks for a new path between browser and server, while the old one goes on. */
  restartIce() {
    this.#path?.restarted();
    this.#restartIce();
  }

  #restartIce() {
    this.#transport.connection.restartIce();
    this.#exchangeNow((offer) => this.#signaling.request({ type: "offer", ...offer })).catch((error) => {
      // The next restart is not far.
      if (error instanceof PatchbayError && PATIENT.has(error.code)) return;
      this.#lose(noPath());
    });
  }

  /** Where topics are all there is, they go over signaling while another transport looks for a path. */
  async #renew() {
    if (this.#transport.state === "closed") return;
    this.#path?.stop();
    this.#path = null;
    this.#transport.close();
    this.dispatchEvent(new Event("mediastate"));
    await delay(this.#platform, (this.#renewMs *= 2));
    if (this.#ended || !this.isDataOnly) return;
    this.#hasFlowed = false;
    this.#transport = new Transport(this.#platform, { hasData: true });
    this.#listenToTransport();
    this.#expectPath();
    this.#restartIce();
  }

  #expectPath() {
    this.#platform.clearTimeout(this.#timer);
    this.#timer = this.#platform.setTimeout(() => this.#lose(noPath()), CONNECT_TIMEOUT_MS);
  }

  /** @param {PatchbayError} error */
  #lose(error) {
    if (this.#ended) return;
    if (error.code === "media_failed" && this.isDataOnly) return void this.#renew();
    this.#path?.stop();
    this.dispatchEvent(Object.assign(new Event("lost"), { error }));
  }

  /**
   * @param {Desired} desired
   * @param {(offer: import("./protocol.js").Description) => Promise<import("./transport.js").Exchanged>} exchange
   */
  async #negotiate(desired, exchange) {
    /** @type {import("./slot.js").Slot[]} */
    let fresh = [];
    /** @type {import("./publication.js").Publication[]} */
    let added = [];
    let isNeeded = false;
    const nothing = new Error("nothing to negotiate");
    try {
      await this.#transport.negotiate(
        () => {
          ({ isNeeded, fresh, added } = this.#prepare(desired));
          if (!isNeeded && !this.#isOwing) throw nothing;
        },
        async ({ sdp, midOf }) => {
          const slots = fresh.map((slot) => ({ slot, mid: midOf(/** @type {RTCRtpTransceiver} */ (this.#slots.get(slot))) }));
          const publications = this.#describePublications(midOf);
          const exchanged = await exchange({
            sdp,
            publications,
            slots: slots.map(({ slot, mid }) => ({ mid, source: desired.sourceOf(slot) })),
          });
          for (const { slot, mid } of slots) {
            slot.bind(/** @type {RTCRtpTransceiver} */ (this.#slots.get(slot)));
            slot.mid = mid;
          }
          for (const [publication, transceiver] of this.#publications) {
            publication.transceiver = transceiver;
            publication.mid = midOf(transceiver);
            publication.id = exchanged.answer.publications?.find(({ mid }) => mid === publication.mid)?.track ?? null;
          }
          this.#isOwing = false;
          this.#catchUp(publications);
          return exchanged;
        },
      );
    } catch (error) {
      if (error === nothing) return;
      this.#isOwing = true;
      for (const slot of fresh) {
        const transceiver = this.#slots.get(slot);
        if (slot.transceiver === transceiver) continue;
        transceiver?.stop?.();
        this.#slots.delete(slot);
      }
      for (const publication of added) {
        const transceiver = this.#publications.get(publication);
        if (transceiver && publication.transceiver !== transceiver) this.#discard(publication, transceiver);
      }
      throw error;
    }
  }

  /**
   * Makes good what was changed while an offer was under way.
   * @param {import("./protocol.js").Description["publications"]} told what the offer said
   */
  #catchUp(told) {
    for (const [publication, transceiver] of this.#publications) {
      const { id, track, muted } = publication;
      if (id !== null && told.some((entry) => entry.mid === publication.mid && entry.muted !== muted)) {
        this.#signaling.request({ type: "mute", track: id, muted }).catch(() => {});
      }
      if (transceiver.sender.track !== track) transceiver.sender.replaceTrack(track).catch(() => {});
    }
  }

  /**
   * An offer with the sections as they are.
   * @param {(offer: import("./protocol.js").Description) => Promise<import("./protocol.js").Reply>} ask
   */
  #exchangeNow(ask) {
    return this.#transport.negotiate(() => {}, async ({ sdp, midOf }) => {
      const reply = await ask({ sdp, publications: this.#describePublications(midOf), slots: [] });
      return { answer: /** @type {any} */ (reply) };
    });
  }

  /** @param {(transceiver: RTCRtpTransceiver) => string} midOf */
  #describePublications(midOf) {
    return [...this.#publications].map(([publication, transceiver]) => ({
      mid: midOf(transceiver),
      source: publication.source,
      muted: publication.muted,
    }));
  }

  /**
   * Adds the sections that are missing and empties those that are no longer wanted.
   * @param {Desired} desired
   */
  #prepare(desired) {
    let isNeeded = false;
    for (const [publication, transceiver] of [...this.#publications]) {
      if (desired.publications.includes(publication)) continue;
      this.#discard(publication, transceiver);
      isNeeded = true;
    }
    const added = desired.publications.filter((publication) => !this.#publications.has(publication));
    for (const publication of added) this.#publications.set(publication, this.#senderFor(publication, desired));
    const fresh = desired.slots.filter((slot) => !this.#slots.has(slot));
    for (const slot of fresh) this.#slots.set(slot, this.#transport.addReceiver(slot.kind));
    return { isNeeded: isNeeded || fresh.length + added.length > 0, fresh, added };
  }

  /**
   * Takes a publication off its section, and keeps the section for the next if it was ever negotiated.
   * @param {import("./publication.js").Publication} publication
   * @param {RTCRtpTransceiver} transceiver
   */
  #discard(publication, transceiver) {
    this.#publications.delete(publication);
    transceiver.sender.replaceTrack(null).catch(() => {});
    if (transceiver.mid === null) return transceiver.stop?.();
    transceiver.direction = "inactive";
    this.#spare.push(transceiver);
  }

  /**
   * @param {import("./publication.js").Publication} publication
   * @param {Desired} desired
   * @returns {RTCRtpTransceiver}
   */
  #senderFor(publication, desired) {
    const kind = kindOf(publication.source);
    const encoding = encodingFor(publication.source, { height: publication.track?.getSettings?.().height });
    const index = publication.codec ? -1 : this.#spare.findIndex((transceiver) => transceiver.receiver.track.kind === kind);
    if (index < 0) return this.#transport.addSender(kind, publication.track, encoding, publication.codec);
    const [transceiver] = this.#spare.splice(index, 1);
    transceiver.direction = "sendonly";
    transceiver.sender.replaceTrack(publication.track).catch(() => {});
    return transceiver;
  }
}

function noPath() {
  return new PatchbayError("media_failed", "No way was found for audio and video to the server.");
}
