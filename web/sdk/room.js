/**
 * A room, as an application uses it: who is there, what is published, the slots in which others are shown, and one
 * state in a word. It survives its sessions: after a loss it rejoins by itself, with the same publications and slots.
 */
import { webSocketUrl } from "./connection.js";
import { PatchbayError, isTemporary } from "./errors.js";
import { ChatEvent, ParticipantEvent, SpeakersEvent, StateChangeEvent, TrackEvent } from "./events.js";
import { Participant } from "./participant.js";
import { abortable, delay, platformOf } from "./platform.js";
import { backoff } from "./policy/backoff.js";
import { encodingFor } from "./policy/encoding.js";
import { openTimeout, retryBounds } from "./policy/recovery.js";
import { Publication } from "./publication.js";
import { EMPTY_ROSTER, reduce, rosterOf } from "./roster.js";
import { Session } from "./session.js";
import { Slot } from "./slot.js";
import { StatsSampler } from "./stats.js";
import { kindOf } from "./protocol.js";

/**
 * @typedef {"connecting" | "connected" | "reconnecting" | "closed"} RoomState
 *
 * @typedef {object} JoinOptions
 * @property {string} room the room's name
 * @property {string} [token] a JWT; not needed where the server runs open
 * @property {string} [name] the name to show
 * @property {string} [identity] unique in the room; the server mints one when it is absent
 * @property {unknown} [metadata] anything others shall see
 * @property {{track: MediaStreamTrack | null, source: import("./protocol.js").Source, muted?: boolean, codec?: string}[]} [tracks] published with the join
 * @property {{audio?: number, video?: number}} [slots] how many are negotiated with the join; 4 and 9 unless told. Audio
 *   slot n follows the n-th loudest voice until it is told otherwise; video slots are empty.
 * @property {AbortSignal} [signal] ends the joining
 * @property {Partial<import("./platform.js").Platform>} [platform] stands in for the browser's own, in tests
 *
 * @typedef {object} Timeline
 * @property {boolean} connected
 * @property {{at_ms: number, step: string, words: string}[]} steps
 * @property {{kind: string, detail: string}[]} troubles
 * @property {{cause: string, words: string, remedy: string} | null} diagnosis
 */

/** How often a switch under way is looked for in the packets. */
const WATCH_MS = 50;
/** The default number of slots. */
const SLOTS = { audio: 4, video: 9 };

export class Room extends EventTarget {
  #url;
  #options;
  #platform;
  /** @type {Session | null} */
  #session = null;
  #abort = new AbortController();
  /** @type {RoomState} */
  #state = "connecting";
  #roster = EMPTY_ROSTER;
  /** @type {Map<number, Participant>} */
  #participants = new Map();
  /** @type {Publication[]} */
  #publications = [];
  /** @type {Slot[]} */
  #slots = [];
  /** @type {Set<Slot>} */
  #taken = new Set();
  #watching = false;
  /** Whether there is no session to talk to. */
  #recovering = false;
  /** Whether rejoining is under way, and the session it is to replace. */
  #rejoining = false;
  /** @type {Session | null} */
  #stale = null;
  /** @type {PatchbayError | null} */
  #lostAgain = null;
  /** @type {(() => void) | null} */
  #wake = null;
  #isHandRaised = false;
  #sampler = new StatsSampler();
  /** Of the last join. @type {{session: string, secret: string} | null} */
  #ticket = null;
  /** @type {import("./protocol.js").Grants | null} */
  #grants = null;

  /**
   * Joins a room, in one round trip.
   * @param {string | URL} url of the server: `https://host`, `wss://host/v1/ws`
   * @param {JoinOptions} options
   * @returns {Promise<Room>}
   */
  static async join(url, options) {
    const room = new Room(url, options);
    try {
      await room.#enter(options.signal);
    } catch (error) {
      room.#end(undefined);
      throw error;
    }
    return room;
  }

  /**
   * Use `Room.join`.
   * @param {string | URL} url
   * @param {JoinOptions} options
   */
  constructor(url, options) {
    super();
    this.#url = url;
    this.#options = { ...options };
    this.#platform = platformOf(options.platform);
    for (const { track, source, muted = false, codec } of options.tracks ?? []) {
      this.#publications.push(new Publication(source, track, { muted, codec, host: this.#publicationHost }));
    }
    const { audio = SLOTS.audio, video = SLOTS.video } = options.slots ?? {};
    for (let rank = 1; rank <= audio; rank += 1) this.#newSlot("audio").wanted = { speaker: rank };
    for (let index = 0; index < video; index += 1) this.#newSlot("video");
  }

  /** The room's name. */
  get name() {
    return this.#options.room;
  }
  /** One word for how it stands. */
  get state() {
    return this.#state;
  }
  /** The own entry, once joined. */
  get self() {
    return this.#roster.self === null ? null : (this.#participants.get(this.#roster.self) ?? null);
  }
  /** Everybody else, in the order of their arrival. */
  get participants() {
    return [...this.#participants.values()].filter((participant) => !participant.isSelf);
  }
  /** Who speaks now, loudest first. */
  get speakers() {
    return this.#roster.speakers.flatMap((number) => this.#participants.get(number) ?? []);
  }
  /** What the own client publishes. @returns {readonly Publication[]} */
  get publications() {
    return this.#publications;
  }
  /** All slots. @returns {readonly Slot[]} */
  get slots() {
    return this.#slots;
  }
  /** What the own client may do, once joined. */
  get grants() {
    return this.#grants;
  }
  /** How many offers the present session has made. */
  get offers() {
    return this.#session?.offers ?? 0;
  }

  /**
   * Somebody in the room by number.
   * @param {number | null} number
   */
  participant(number) {
    return number === null ? null : (this.#participants.get(number) ?? null);
  }

  /**
   * The own publication of a source, if there is one.
   * @param {import("./protocol.js").Source} source
   */
  publication(source) {
    return this.#publications.find((publication) => publication.source === source) ?? null;
  }

  /**
   * Publishes a track. Resolves when the server has taken it.
   * @param {MediaStreamTrack | null} track null to announce a source that starts later, by `replaceTrack`
   * @param {{source: import("./protocol.js").Source, muted?: boolean, codec?: string, signal?: AbortSignal}} options
   *   `codec`: that one alone, such as `vp9`
   * @returns {Promise<Publication>}
   */
  async publish(track, { source, muted = false, codec, signal }) {
    this.#check();
    if (track && track.kind !== kindOf(source)) {
      throw new PatchbayError("invalid_argument", `A ${track.kind} track cannot be published as ${source}.`);
    }
    if (this.publication(source)) throw new PatchbayError("invalid_argument", `A ${source} is published already.`);
    if (this.#grants && !this.#grants.publish.includes(source)) {
      throw new PatchbayError("not_allowed", `You may not publish a ${source} here.`);
    }
    const publication = new Publication(source, track, { muted, codec, host: this.#publicationHost });
    this.#publications.push(publication);
    try {
      await abortable(this.#sync(), signal);
    } catch (error) {
      if (this.#session && !this.#recovering) await publication.unpublish().catch(() => {});
      throw error;
    }
    this.#tune();
    return publication;
  }

  /** A free slot for video. When all that were negotiated are taken, one more offer adds it. */
  videoSlot() {
    return this.#takeSlot("video");
  }

  /** A free slot for audio. The first four follow the loudest voices. */
  audioSlot() {
    return this.#takeSlot("audio");
  }

  /**
   * Writes to everybody.
   * @param {string} text plain text
   */
  async sendChat(text) {
    await this.#request({ type: "chat", text });
  }

  /**
   * Asks to be heard, or no longer.
   * @param {boolean} raised
   */
  async raiseHand(raised) {
    this.#isHandRaised = raised;
    await this.#request({ type: "update", hand_raised: raised });
    this.#updateSelf();
  }

  /**
   * Changes the own entry in the roster.
   * @param {{name?: string, metadata?: unknown}} entry
   */
  async update({ name, metadata }) {
    if (name !== undefined) this.#options.name = name;
    if (metadata !== undefined) this.#options.metadata = metadata;
    await this.#request({ type: "update", name, metadata });
    this.#updateSelf({ name, metadata });
  }

  /** What flows, in figures: path, publications, slots. */
  async stats() {
    const session = this.#session;
    if (!session || session.mediaState === "closed") return null;
    const report = await session.peerConnection.getStats();
    return this.#sampler.sample(report, {
      publications: this.#publications,
      slots: this.#slots,
      signalingRttMs: session.signalingRttMs ?? null,
    });
  }

  /**
   * What happened on the way to media in the last join, as the server saw it, and what is wrong. Null if it can't tell.
   * @returns {Promise<Timeline | null>}
   */
  async timeline() {
    if (!this.#ticket) return null;
    const { session, secret } = this.#ticket;
    const url = webSocketUrl(this.#url).replace(/^ws/, "http").replace(/[^/]*$/, `timelines/${session}`);
    const response = await fetch(url, { headers: { authorization: `Bearer ${secret}` } }).catch(() => null);
    return response?.ok ? response.json() : null;
  }

  /** Tries at once, when a retry is being waited for: after the network came back, or because a person asked. */
  retryNow() {
    this.#wake?.();
  }

  /** Looks for a new network path now, such as after a change of network. Media goes on meanwhile where it can. */
  restartIce() {
    if (!this.#recovering) this.#session?.restartIce();
  }

  /** Leaves the room, for good. */
  async close() {
    this.#end(undefined);
  }

  /** @returns {Promise<void>} */
  [/** @type {typeof Symbol.asyncDispose} */ (Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose"))]() {
    return this.close();
  }

  /** @type {import("./slot.js").SlotHost} */
  #slotHost = {
    switchSource: (slot) => this.#switchSource(slot),
    participant: (number) => this.participant(number),
    release: (slot) => void this.#taken.delete(slot),
    now: () => this.#platform.now(),
  };

  /** @type {import("./publication.js").PublicationHost} */
  #publicationHost = {
    announceMute: async (publication) => {
      // Otherwise an offer is under way, or will be, and says it.
      if (this.#session && publication.id !== null && !this.#recovering) {
        await this.#session.request({ type: "mute", track: publication.id, muted: publication.muted });
        this.#updateSelf();
      }
    },
    unpublish: async (publication) => {
      this.#publications = this.#publications.filter((other) => other !== publication);
      await this.#sync();
    },
  };

  /** @param {import("./protocol.js").MediaKind} kind */
  #newSlot(kind) {
    const slot = new Slot(kind, new this.#platform.MediaStream(), this.#slotHost);
    this.#slots.push(slot);
    return slot;
  }

  /** @param {import("./protocol.js").MediaKind} kind */
  #takeSlot(kind) {
    this.#check();
    let slot = this.#slots.find((candidate) => candidate.kind === kind && !this.#taken.has(candidate));
    if (!slot) {
      slot = this.#newSlot(kind);
      // Slots asked for in one go share one offer.
      queueMicrotask(() => this.#sync().catch(() => {}));
    }
    this.#taken.add(slot);
    return slot;
  }

  /** @returns {import("./session.js").Desired} */
  get #desired() {
    return {
      publications: this.#publications,
      slots: this.#slots,
      sourceOf: (slot) => this.#sourceOf(slot.wanted),
    };
  }

  /**
   * @param {import("./slot.js").Wanted} wanted
   * @returns {import("./protocol.js").SlotSource | null}
   */
  #sourceOf(wanted) {
    if (wanted === null || "speaker" in wanted) return wanted;
    // Somebody who rejoins may be there twice for a moment: the newer entry holds.
    const participant = [...this.#participants.values()].findLast(({ identity }) => identity === wanted.identity);
    return participant ? { participant: participant.number, source: wanted.source } : null;
  }

  /** @param {Slot} slot */
  async #switchSource(slot) {
    const session = this.#session;
    // Without a session, the next one takes what is wanted then.
    if (!session || this.#recovering) return;
    if (slot.mid === null) await this.#sync();
    if (slot.mid === null || session !== this.#session) return;
    await session.request({ type: "slot", mid: slot.mid, source: this.#sourceOf(slot.wanted) });
  }

  async #sync() {
    if (!this.#session || this.#recovering) return;
    await this.#session.sync(this.#desired);
    this.#updateSelf();
  }

  /**
   * Brings the own entry up to date: the server tells changes to everybody else only.
   * @param {{name?: string, metadata?: unknown}} [changes]
   */
  #updateSelf({ name, metadata } = {}) {
    const self = this.#roster.self === null ? undefined : this.#roster.entries.get(this.#roster.self);
    if (!self) return;
    const tracks = this.#publications.flatMap(({ id, source, muted }) => (id === null ? [] : [{ id, source, kind: kindOf(source), muted }]));
    const participant = { ...self, name: name ?? self.name, metadata: metadata ?? self.metadata, hand_raised: this.#isHandRaised, tracks };
    const isSame = participant.name === self.name && participant.metadata === self.metadata && this.#isHandRaised === self.handRaised
      && JSON.stringify(tracks) === JSON.stringify(self.tracks);
    if (!isSame) {
      const event = /** @type {const} */ ({ type: "participant_updated", participant });
      this.#applyRoster(reduce(this.#roster, event), event);
    }
  }

  /**
   * @param {import("./protocol.js").ClientRequest} request
   */
  async #request(request) {
    this.#check();
    if (!this.#session || this.#recovering) throw new PatchbayError("connection_lost", "There is no connection to the server right now.");
    await this.#session.request(request);
  }

  #check() {
    if (this.#state === "closed") throw new PatchbayError("closed", "The room was closed.");
  }

  /**
   * A new session in place of the one before, if any. The old one goes only when the new one has joined.
   * @param {AbortSignal} [signal]
   * @param {number} [openTimeoutMs]
   */
  async #enter(signal, openTimeoutMs) {
    const { room, token, name, identity, metadata } = this.#options;
    const before = this.#session;
    const session = new Session({ url: this.#url, token, openTimeoutMs, platform: this.#platform });
    session.addEventListener("message", (event) => {
      const { message } = /** @type {Event & {message: import("./protocol.js").ServerMessage}} */ (event);
      if (this.#session === session && !(message.type === "left" && session === this.#stale)) this.#receive(message);
    });
    session.addEventListener("mediastate", () => {
      if (this.#session === session) this.#mediaStateChanged(session);
    });
    session.addEventListener("lost", (event) => {
      if (this.#session === session && session !== this.#stale) this.#recover(/** @type {import("./session.js").LostEvent} */ (event).error);
    });
    await session.join({ room, name, identity, metadata }, this.#desired, (joined) => {
      this.#session = session;
      this.#ticket = { session: joined.session, secret: joined.secret };
      this.#recovering = false;
      before?.close();
      this.#grants = joined.grants;
      this.#options.identity = joined.participant.identity;
      this.#applyRoster(rosterOf(joined));
    }, signal);
    if (this.#session !== session) return;
    this.#tune();
    // What was asked for by identity can be named only now.
    for (const slot of this.#slots) if (slot.wanted && !("speaker" in slot.wanted)) this.#switchSource(slot).catch(() => {});
    if (this.#isHandRaised) this.#request({ type: "update", hand_raised: true }).catch(() => {});
    this.#updateSelf();
    // What was added while the offer was on its way.
    this.#sync().catch(() => {});
  }

  /** @param {Session} session */
  #mediaStateChanged(session) {
    if (this.#recovering) return;
    if (session.mediaState === "connected") this.#setState("connected");
    else if (session.mediaState !== "connecting" && this.#state === "connected") {
      this.#setState("reconnecting", { error: new PatchbayError("media_failed", "The media path was interrupted.") });
    }
  }

  /**
   * Rejoins until it works, makes no sense, or the room is closed.
   * @param {PatchbayError} cause
   */
  async #recover(cause) {
    if (this.#state === "closed") return;
    if (!isTemporary(cause)) return this.#end(cause);
    this.#lostAgain = cause;
    if (this.#rejoining) return;
    this.#rejoining = true;
    for (let attempt = 0; this.#lostAgain && !this.#abort.signal.aborted; attempt += 1) {
      /** @type {PatchbayError} */
      const error = this.#lostAgain;
      this.#recovering = true;
      this.#stale = this.#session;
      const retryInMs = backoff(attempt, { random: this.#platform.random, retryAfterMs: error.retryAfterMs, ...retryBounds(error.code) });
      this.#setState("reconnecting", { error, retryInMs, attempt });
      try {
        await this.#pause(retryInMs);
        this.#setState("reconnecting", { error, attempt });
        this.#lostAgain = null;
        await this.#enter(this.#abort.signal, openTimeout(attempt));
      } catch (reason) {
        this.#lostAgain = reason instanceof PatchbayError ? reason : new PatchbayError("connection_failed", String(reason), { cause: reason });
        if (!isTemporary(this.#lostAgain)) return this.#end(this.#lostAgain);
      }
    }
    this.#rejoining = false;
    if (this.#session) this.#mediaStateChanged(this.#session);
  }

  /** @param {number} ms */
  async #pause(ms) {
    const woken = new Promise((resolve) => (this.#wake = () => resolve(undefined)));
    const unsubscribe = this.#platform.watchNetwork((change) => change === "moved" && this.#wake?.());
    await Promise.race([delay(this.#platform, ms, this.#abort.signal), woken]).finally(unsubscribe);
    this.#wake = null;
  }

  /** @param {import("./protocol.js").ServerMessage} message */
  #receive(message) {
    switch (message.type) {
      case "slot": {
        const slot = this.#slots.find(({ mid }) => mid === message.mid);
        slot?.applyState(message);
        this.#watchSlots();
        return;
      }
      case "chat": {
        const participant = this.participant(message.participant);
        this.dispatchEvent(new ChatEvent({ participant, name: message.name, text: message.text, sentAt: new Date(message.sent_at_ms) }));
        return;
      }
      case "left":
        this.#recover(new PatchbayError(message.reason === "replaced" ? "replaced" : "connection_lost", LEFT[message.reason] ?? "The server ended the stay."));
        return;
      default:
        this.#applyRoster(reduce(this.#roster, message), message);
        if (message.type === "participant_joined") this.#pointSlotsTo(message.participant.identity);
    }
  }

  /**
   * Whoever rejoins has a new number: slots that show them are told.
   * @param {string} identity
   */
  #pointSlotsTo(identity) {
    for (const slot of this.#slots) {
      if (slot.wanted && "identity" in slot.wanted && slot.wanted.identity === identity) this.#switchSource(slot).catch(() => {});
    }
  }

  /**
   * Takes over a roster and tells what changed in it.
   * @param {import("./roster.js").Roster} roster
   * @param {import("./protocol.js").ServerEvent} [event] what changed it; without one everything may have
   */
  #applyRoster(roster, event) {
    const before = this.#roster;
    if (roster === before) return;
    this.#roster = roster;
    const known = new Map([...this.#participants.values()].map((participant) => [participant.identity, participant]));
    const previous = this.#participants;
    /** @type {Participant[]} */
    const joined = [];
    this.#participants = new Map();
    for (const [number, entry] of roster.entries) {
      const isSelf = number === roster.self;
      let participant = known.get(entry.identity);
      if (participant && participant.isSelf === isSelf) {
        known.delete(entry.identity);
      } else {
        participant = new Participant(entry, isSelf);
        joined.push(participant);
      }
      const tracks = participant.tracks;
      participant.update(entry);
      this.#participants.set(number, participant);
      if (previous.has(number)) this.#tellTracks(tracks, participant);
    }
    for (const participant of known.values()) {
      this.dispatchEvent(new ParticipantEvent("participantleft", participant, event?.type === "participant_left" ? event.reason : "left"));
    }
    for (const participant of joined) if (!participant.isSelf) this.dispatchEvent(new ParticipantEvent("participantjoined", participant));
    if (event?.type === "participant_updated" || !event) {
      for (const participant of this.#participants.values()) {
        if (!joined.includes(participant) && (!event || participant.number === event.participant.number)) {
          this.dispatchEvent(new ParticipantEvent("participantupdated", participant));
        }
      }
    }
    if (roster.speakers !== before.speakers) this.dispatchEvent(new SpeakersEvent(this.speakers));
    if (roster.entries.size !== before.entries.size) this.#tune();
  }

  /**
   * @param {readonly import("./participant.js").RemoteTrack[]} before
   * @param {Participant} participant
   */
  #tellTracks(before, participant) {
    if (before === participant.tracks) return;
    for (const track of before) {
      if (!participant.tracks.some(({ id }) => id === track.id)) this.dispatchEvent(new TrackEvent("trackunpublished", track));
    }
    for (const track of participant.tracks) {
      const old = before.find(({ id }) => id === track.id);
      if (!old) this.dispatchEvent(new TrackEvent("trackpublished", track));
      else if (old.muted !== track.muted) this.dispatchEvent(new TrackEvent("trackmuted", track));
    }
  }

  /** Looks for switches under way until all have come through. */
  #watchSlots() {
    if (this.#watching) return;
    this.#watching = true;
    const look = () => {
      this.#watching = this.#state !== "closed" && this.#slots.filter((slot) => slot.watch()).length > 0;
      if (this.#watching) this.#platform.setTimeout(look, WATCH_MS);
    };
    look();
  }

  /** Fits what is sent to how many watch. */
  #tune() {
    for (const { source, track, transceiver } of this.#publications) {
      const sender = transceiver?.sender;
      if (source !== "camera" || !track || typeof sender?.getParameters !== "function") continue;
      const parameters = sender.getParameters();
      const [encoding] = parameters.encodings ?? [];
      const wanted = encodingFor(source, { others: this.#participants.size - 1, height: track.getSettings?.().height });
      if (!encoding || (encoding.maxBitrate === wanted.maxBitrate && encoding.scaleResolutionDownBy === wanted.scaleResolutionDownBy)) continue;
      Object.assign(encoding, wanted);
      sender.setParameters(parameters).catch(() => {});
    }
  }

  /**
   * @param {RoomState} state
   * @param {{error?: PatchbayError, retryInMs?: number, attempt?: number}} [details]
   */
  #setState(state, details) {
    if (this.#state === "closed" || (this.#state === state && !details)) return;
    this.#state = state;
    this.dispatchEvent(new StateChangeEvent(state, details));
  }

  /** @param {PatchbayError | undefined} error why, unless it was asked for */
  #end(error) {
    if (this.#state === "closed") return;
    this.#setState("closed", { error });
    this.#abort.abort(new PatchbayError("closed", "The room was closed."));
    this.#session?.close();
    for (const slot of this.#slots) slot.end(new PatchbayError("closed", "The room was closed."));
  }
}

/** @type {Partial<Record<import("./protocol.js").LeaveReason, string>>} */
const LEFT = {
  replaced: "You joined this room somewhere else.",
  transport_lost: "The server received nothing from this browser for too long.",
  node_lost: "The media server went away.",
  shutdown: "The server is shutting down.",
};
