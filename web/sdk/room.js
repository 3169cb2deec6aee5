/**
 * A room, as an application uses it: who is there, what is published, the slots in which others are shown, and one
 * state in a word. It survives its sessions: after a loss it rejoins by itself, with the same publications and slots.
 */
import { Chat } from "./chat.js";
import { PatchbayError } from "./errors.js";
import { ConnectionStateEvent, StateChangeEvent, roomEvent } from "./events.js";
import { Facts } from "./facts.js";
import { lazy } from "./lazy.js";
import { OwnEntry } from "./own-entry.js";
import { Participants } from "./participants.js";
import { abortable, platformOf } from "./platform.js";
import { encodingFor } from "./policy/encoding.js";
import { connectionWords } from "./policy/words.js";
import { kindOf } from "./protocol.js";
import { Publication } from "./publication.js";
import { reduce, rosterOf } from "./roster.js";
import { Session } from "./session.js";
import { Slots } from "./slots.js";

/**
 * @typedef {"connecting" | "connected" | "reconnecting" | "closed"} RoomState
 *
 * @typedef {import("./join-options.js").JoinOptions} JoinOptions
 * @typedef {import("./join-options.js").Timeline} Timeline
 */

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
  #participants = new Participants((event) => void this.dispatchEvent(event));
  /** @type {Publication[]} */
  #publications = [];
  #slots;
  #chat;
  /** @type {import("./rejoin.js").Rejoin | null} */
  #rejoin = null;
  /** Whether there is no session to talk to. */
  #recovering = false;
  /** The session that is to be replaced. @type {Session | null} */
  #stale = null;
  #own = new OwnEntry();
  /** @type {import("./stats.js").StatsSampler | null} */
  #sampler = null;
  /** Of the last join. @type {{session: string, secret: string} | null} */
  #ticket = null;
  #facts = new Facts((event) => void this.dispatchEvent(event));
  /** Says `joined` each time there is another session to talk to. */
  #stays = new EventTarget();
  /** @type {import("./data/plane.js").DataPlane | null} */
  #data = null;
  /** What a moderator can do; fetched when it is first used. */
  moderate = lazy(async () => new (await import("./moderation.js")).Moderation((request) => this.#request(request)));
  /** What others are told of one's being there; fetched when it is first used. */
  presence = lazy(async () => new (await import("./presence.js")).Presence((request) => this.#request(request)));

  /**
   * Joins a room, in one round trip.
   * @param {string | URL} url of the server: `https://host`, `wss://host/v1/ws`
   * @param {JoinOptions} options
   * @returns {Promise<Room>}
   */
  static async join(url, options) {
    const room = new Room(url, options);
    try {
      await Promise.all([room.#enter(options.signal), room.#loadData()]);
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
    this.#options = { memory: {}, ...options };
    this.#platform = platformOf(options.platform);
    this.#slots = new Slots({
      participants: this.#participants, platform: this.#platform, sync: () => this.#sync(),
      session: () => (this.#recovering ? null : this.#session),
    });
    this.#chat = new Chat({
      participants: this.#participants, random: this.#platform.random, tell: (event) => void this.dispatchEvent(event),
      request: (request) => this.#request(request), whenJoined: () => this.#whenJoined(),
    });
    for (const { track, source, muted = false, codec } of options.tracks ?? []) {
      this.#publications.push(new Publication(source, track, { muted, codec, host: this.#publicationHost }));
    }
    const { audio = SLOTS.audio, video = SLOTS.video } = options.slots ?? {};
    for (let rank = 1; rank <= audio; rank += 1) this.#slots.add("audio").wanted = { speaker: rank };
    for (let index = 0; index < video; index += 1) this.#slots.add("video");
  }

  /** The room's name. */
  get name() {
    return this.#options.room;
  }
  /** One word for how it stands. It follows the media, which go on while signaling is away. */
  get state() {
    return this.#state;
  }
  /** How signaling is connected, or was last: `websocket`, `sse` or `poll`. */
  get connection() {
    return this.#options.memory.connection ?? "websocket";
  }
  /** The own entry, once joined. */
  get self() {
    return this.#participants.self;
  }
  /** Everybody else, in the order of their arrival. */
  get participants() {
    return this.#participants.others;
  }
  /** Who speaks now, loudest first. */
  get speakers() {
    return this.#participants.speakers;
  }
  /** What the own client publishes. @returns {readonly Publication[]} */
  get publications() {
    return this.#publications;
  }
  /** All slots. */
  get slots() {
    return this.#slots.all;
  }
  /** What the own client may do, once joined. */
  get grants() {
    return this.#facts.grants;
  }
  /** The room's metadata, attributes, lock and bounds, once joined. */
  get info() {
    return this.#facts.info;
  }
  /** Who waits to be admitted, for moderators. */
  get waiting() {
    return this.#facts.waiting;
  }
  /** The newest lines of the chat, oldest first. */
  get chat() {
    return this.#chat.lines;
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
    return this.#participants.byNumber(number);
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
    if (this.grants && !this.grants.publish.includes(source)) {
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
    this.#check();
    return this.#slots.take("video");
  }

  /** A free slot for audio. The first four follow the loudest voices. */
  audioSlot() {
    this.#check();
    return this.#slots.take("audio");
  }

  /**
   * Writes to everybody. Resolves when the server has it; it arrives once, whatever happens to the connection meanwhile.
   * @param {string} text plain text
   */
  async sendChat(text) {
    await this.#chat.send(text);
  }

  /**
   * Older lines of the chat.
   * @param {{before?: number, limit?: number}} [options] `before`: the number of a line
   */
  async chatHistory(options = {}) {
    return this.#chat.history(options);
  }

  /**
   * Asks to be heard, or no longer.
   * @param {boolean} raised
   */
  async raiseHand(raised) {
    this.#own.change({ handRaised: raised });
    await this.#request({ type: "update", hand_raised: raised });
    this.#updateSelf();
  }

  /**
   * Changes the own entry in the roster.
   * @param {{name?: string, metadata?: unknown, attributes?: Record<string, string | null>}} entry what is absent stays; an
   *   attribute that is null goes
   */
  async update({ name, metadata, attributes }) {
    if (name !== undefined) this.#options.name = name;
    if (metadata !== undefined) this.#options.metadata = metadata;
    this.#own.change({ attributes });
    await this.#request({ type: "update", name, metadata, attributes });
    this.#updateSelf({ name, metadata });
  }

  /**
   * Goes on with a newer token for the same room and identity.
   * @param {string} token a JWT
   */
  async refreshToken(token) {
    await this.#request({ type: "refresh", token });
    this.#options.token = token;
  }

  /**
   * A topic: small messages between all who open the same label. A second call gives the same topic; its options are those of
   * the first.
   * @param {string} label
   * @param {import("./data/topic.js").TopicOptions} [options]
   */
  topic(label, options = {}) {
    this.#check();
    return this.#plane.topic(label, options);
  }

  /** The server's clock, measured while a topic is open. */
  get clock() {
    return this.#plane.clock;
  }

  /** Files and other large things, from one to another. The first use opens their topic. */
  get files() {
    return this.#plane.files;
  }

  /**
   * Calls a method of another participant and waits for its answer.
   * @param {number} to the participant's number
   * @param {string} method
   * @param {string} [payload] at most 15 KiB
   * @param {{timeoutMs?: number, signal?: AbortSignal}} [options]
   * @returns {Promise<string>}
   */
  async rpc(to, method, payload, options) {
    return this.#plane.calls.call(to, method, payload, options);
  }

  /**
   * Answers calls of a method from now on.
   * @param {string} method
   * @param {import("./data/rpc.js").Method | null} answer null: no longer
   */
  handleRpc(method, answer) {
    this.#plane.calls.register(method, answer);
  }

  /** What flows, in figures: path, publications, slots. */
  async stats() {
    const session = this.#session;
    if (!session || session.mediaState === "closed") return null;
    const { StatsSampler } = await import("./stats.js");
    const report = await session.peerConnection.getStats();
    this.#sampler ??= new StatsSampler();
    return this.#sampler.sample(report, {
      publications: this.#publications,
      slots: this.slots,
      signalingRttMs: session.signalingRttMs ?? null,
    });
  }

  /**
   * What happened on the way to media in the last join, as the server saw it, and what is wrong. Null if it can't tell.
   * @returns {Promise<Timeline | null>}
   */
  async timeline() {
    const { timelineOf } = await import("./timeline.js");
    return this.#ticket && timelineOf(this.#platform, this.#url, this.#ticket);
  }

  /** Tries at once, when a retry is being waited for: after the network came back, or because a person asked. */
  retryNow() {
    this.#rejoin?.now();
    this.#session?.retryNow();
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

  /** @returns {import("./session.js").Desired} */
  get #desired() {
    return { publications: this.#publications, slots: this.slots, sourceOf: (slot) => this.#slots.sourceOf(slot.wanted) };
  }

  async #sync() {
    if (!this.#session || this.#recovering) return;
    await this.#session.sync(this.#desired);
    this.#updateSelf();
  }

  get #plane() {
    if (!this.#data) throw new PatchbayError("unsupported", "This room was joined without topics.");
    return this.#data;
  }

  /** Fetched while the join is under way. */
  async #loadData() {
    if (this.#options.topics === false) return;
    const { DataPlane } = await import("./data/plane.js");
    this.#data = DataPlane.on(this.#platform, {
      request: (request) => this.#request(request),
      openChannel: (label, init) => (this.#recovering ? null : (this.#session?.openChannel(label, init) ?? null)),
      hasMedia: () => this.#session?.mediaState === "connected",
    });
  }

  /**
   * Brings the own entry up to date: the server tells changes to everybody else only.
   * @param {{name?: string, metadata?: unknown}} [changes]
   */
  #updateSelf(changes = {}) {
    const { roster, self } = this.#participants;
    const entry = self && roster.entries.get(self.number);
    const event = entry && this.#own.update(entry, this.#publications, changes);
    if (event) this.#reduce(event);
  }

  /**
   * @param {import("./protocol.js").ClientRequest} request
   * @returns {Promise<import("./protocol.js").Reply>}
   */
  async #request(request) {
    this.#check();
    if (!this.#session || this.#recovering) throw new PatchbayError("connection_lost", "There is no connection to the server right now.");
    return this.#session.request(request);
  }

  #check() {
    if (this.#state === "closed") throw new PatchbayError("closed", "The room was closed.");
  }

  /** Resolves when there is a session to talk to. @returns {Promise<void>} */
  #whenJoined() {
    return new Promise((resolve, reject) => {
      this.#stays.addEventListener("joined", () => resolve(), { once: true });
      this.#abort.signal.addEventListener("abort", () => reject(this.#abort.signal.reason), { once: true });
    });
  }

  /**
   * A new session in place of the one before, if any. The old one goes only when the new one has joined.
   * @param {AbortSignal} [signal]
   * @param {number} [openTimeoutMs]
   */
  async #enter(signal, openTimeoutMs) {
    const { room, token, name, identity, metadata, memory } = this.#options;
    const before = this.#session;
    const session = new Session({ url: this.#url, token, memory, openTimeoutMs, hasData: this.#options.topics !== false, platform: this.#platform });
    const isCurrent = () => this.#session === session;
    session.addEventListener("step", (event) => {
      const { step } = /** @type {import("./signaling.js").StepEvent} */ (event);
      // While another session is being made, that is one of many steps.
      if (isCurrent() ? !this.#recovering && step.state !== "closed" : !before && step.state !== "closed") this.#tellStep(step);
    });
    session.addEventListener("message", (event) => {
      const { message } = /** @type {import("./signaling.js").MessageEvent} */ (event);
      if (message.type === "waiting") this.#options.onWaiting?.(message.position);
      if (isCurrent() && !(message.type === "left" && session === this.#stale)) this.#receive(message);
    });
    session.addEventListener("snapshot", (event) => {
      if (isCurrent()) this.#takeSnapshot(/** @type {Event & {snapshot: import("./protocol.js").Snapshot}} */ (event).snapshot);
    });
    session.addEventListener("mediastate", () => {
      if (isCurrent()) this.#mediaStateChanged(session);
    });
    session.addEventListener("lost", (event) => {
      if (isCurrent() && session !== this.#stale) this.#lose(/** @type {import("./session.js").LostEvent} */ (event).error);
    });
    await session.join({ room, name, identity, metadata }, this.#desired, (joined) => {
      this.#session = session;
      this.#ticket = { session: joined.session, secret: joined.secret };
      this.#recovering = false;
      before?.close();
      this.#options.identity = joined.participant.identity;
      this.#take(joined, !before);
    }, signal);
    if (!isCurrent()) return;
    if (before) this.#tellStep({ state: "connected", transport: this.connection });
    this.#stays.dispatchEvent(new Event("joined"));
    // It may not be had when it is needed.
    import("./rejoin.js").catch(() => {});
    this.#data?.restart();
    this.#mediaStateChanged(session);
    this.#tune();
    // What was asked for by identity can be named only now.
    this.#slots.point();
    if (this.#own.request) this.#request(this.#own.request).catch(() => {});
    this.#updateSelf();
    // What was added while the offer was on its way.
    this.#sync().catch(() => {});
  }

  /**
   * @param {import("./protocol.js").Snapshot} joined
   * @param {boolean} isFirst
   */
  #take(joined, isFirst) {
    this.#facts.take(joined);
    const roster = rosterOf(joined);
    const { speakers } = this.#participants.roster;
    this.#participants.apply({ ...roster, speakers: speakers.filter((number) => roster.entries.has(number)) });
    this.#chat.takeHistory(joined.chat ?? [], isFirst);
  }

  /**
   * The room as it is after a restart of the server: what changed is told, and media is left alone.
   * @param {import("./protocol.js").Snapshot} snapshot
   */
  #takeSnapshot(snapshot) {
    this.#take(snapshot, false);
    this.#slots.forgetTheGone();
    this.#data?.forgetFallbacks();
    this.#tune();
    this.#facts.tellAll();
    // What the server does not know of any more.
    this.#sync().catch(() => {});
  }

  /** @param {Session} session */
  #mediaStateChanged(session) {
    if (this.#recovering) return;
    this.#data?.changeMedia();
    // Topics find a way without media, too.
    if (session.mediaState === "connected" || session.isDataOnly) this.#setState("connected");
    else if (session.mediaState !== "connecting" && this.#state === "connected") {
      this.#setState("reconnecting", { error: new PatchbayError("media_failed", "The media path was interrupted.") });
    }
  }

  /** @param {PatchbayError | import("./protocol.js").LeaveReason} why */
  async #lose(why) {
    if (this.#state === "closed") return;
    this.#stale = this.#session;
    try {
      const { Rejoin, leftError } = await import("./rejoin.js");
      // It may have been closed meanwhile.
      if (this.#abort.signal.aborted) return;
      this.#rejoin ??= new Rejoin({
        platform: this.#platform, signal: this.#abort.signal,
        enter: (openTimeoutMs) => this.#enter(this.#abort.signal, openTimeoutMs),
        tell: (details) => {
          this.#recovering = true;
          this.#stale = this.#session;
          this.#setState("reconnecting", details);
          this.#tellStep({ state: "reconnecting", transport: this.connection, ...details });
        },
        done: () => {
          if (this.#session) this.#mediaStateChanged(this.#session);
        },
        giveUp: (error) => this.#end(error),
      });
      await this.#rejoin.begin(why instanceof PatchbayError ? why : leftError(why));
    } catch (cause) {
      this.#end(new PatchbayError("connection_lost", "The connection to the server was lost.", { cause }));
    }
  }

  /** @param {import("./protocol.js").ServerMessage} message */
  #receive(message) {
    if (this.#data?.handle(message)) return;
    switch (message.type) {
      case "slot":
        return this.#slots.receive(message);
      case "chat":
        return this.#chat.take(message);
      case "left":
        return void this.#lose(message.reason);
      default:
        if (this.#facts.receive(message)) return;
        this.#reduce(message);
    }
    if (message.type === "participant_joined") this.#slots.point(message.participant.identity);
    if (message.type === "presence") {
      const participant = this.participant(message.participant);
      this.dispatchEvent(roomEvent("presence", { participant, state: message.state, typing: message.typing }));
    }
  }

  /** @param {import("./protocol.js").ServerEvent} event */
  #reduce(event) {
    const { size } = this.#participants;
    this.#participants.apply(reduce(this.#participants.roster, event), event);
    if (size !== this.#participants.size) this.#tune();
  }

  /** Fits what is sent to how many watch. */
  #tune() {
    for (const publication of this.#publications) publication.tune((height) => encodingFor(publication.source, { others: this.#participants.size - 1, height }));
  }

  /** @param {import("./signaling.js").ConnectionStep} step */
  #tellStep(step) {
    if (this.#state === "closed") return;
    const words = connectionWords({ ...step, isMediaFlowing: this.#session?.mediaState === "connected" });
    const event = new ConnectionStateEvent(step, words);
    this.#options.onConnectionState?.(event);
    this.dispatchEvent(event);
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
    this.#tellStep({ state: "closed", transport: this.connection, error });
    this.#setState("closed", { error });
    const closed = new PatchbayError("closed", "The room was closed.");
    this.#abort.abort(closed);
    this.#session?.close();
    this.#slots.end(closed);
    this.#data?.close();
  }
}
