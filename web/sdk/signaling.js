/**
 * The signaling half of a session, which outlives its connections: numbered messages taken in order and exactly once,
 * requests kept until they are answered, heartbeats. What happens when a connection breaks is up to its keeper. It knows
 * nothing of rooms. It says `close` once, when the session is over.
 */
import { WebSocketConnection } from "./connection/websocket.js";
import { PatchbayError, isTemporary } from "./errors.js";
import { LATE_MS, isConnectionDead, openTimeout } from "./policy/retry.js";
import { HEARTBEAT_INTERVAL_MS, PROTOCOL_VERSION, encodeClientMessage } from "./protocol.js";

const CLIENT = "patchbay-sdk/0.1.0";
/** Requests without an answer: the server knows so many ids again. */
const MAX_WAITING = 256;
/** Messages taken after which the server is told, beside what every request tells. */
const ACK_EVERY = 256;

/** How each kind of connection is had. */
export const LOADERS = {
  websocket: async () => WebSocketConnection,
  sse: async () => (await import("./connection/sse.js")).SseConnection,
  poll: async () => (await import("./connection/poll.js")).PollConnection,
};

/**
 * @typedef {import("./policy/connection.js").ConnectionKind} ConnectionKind
 * @typedef {{connection?: ConnectionKind}} ConnectionMemory what worked last; an application may keep it between visits
 * @typedef {"connecting" | "connected" | "reconnecting" | "closed"} ConnectionState
 * @typedef {{state: ConnectionState, transport: ConnectionKind, attempt?: number, retryInMs?: number, error?: PatchbayError}} ConnectionStep
 *
 * @typedef {object} Link one connection, from its first try
 * @property {ConnectionKind} kind
 * @property {import("./connection/websocket.js").Connection} connection
 * @property {number} helloId
 * @property {number} beganAt
 * @property {boolean} isOpen whether requests can be sent
 * @property {(error: PatchbayError | null, isAnswer?: boolean) => void} settle with why its hello was not answered, or null
 * @property {any} timer
 *
 * @typedef {object} Waiting a request without an answer
 * @property {import("./protocol.js").ClientRequest} request
 * @property {(reply: any) => void} resolve
 * @property {(error: PatchbayError) => void} reject
 * @property {Link | null} sentOn
 * @property {number} sentAt
 */

/** @typedef {Event & {error: PatchbayError}} SignalingCloseEvent `close`: the session is over, and why */
/** @typedef {Event & {message: import("./protocol.js").ServerMessage}} MessageEvent an event of the server that is no reply */
/** @typedef {Event & {snapshot: import("./protocol.js").Joined | null}} ResumedEvent `resumed`: the session goes on */
/** @typedef {Event & {step: ConnectionStep}} StepEvent `step` */

export class Signaling extends EventTarget {
  #url;
  #token;
  #platform;
  #memory;
  /** The connection in use. @type {Link | null} */
  #link = null;
  /** Those whose hello was not answered yet. @type {Set<Link>} */
  #opening = new Set();
  #nextId = 1;
  /** @type {Map<number, Waiting>} */
  #waiting = new Map();
  #lastSeq = 0;
  #ackedSeq = 0;
  /** @type {{session: string, secret: string} | null} */
  #ticket = null;
  #epoch = 0;
  #windowMs = 30_000;
  #heartbeatMs = HEARTBEAT_INTERVAL_MS;
  #lastHeard = 0;
  #ended = false;
  #hasJoined = false;
  /** @type {import("./keeper.js").Keeper | null} */
  #keeper = null;
  /** @type {Promise<import("./keeper.js").Keeper> | null} */
  #keeperLoading = null;
  /** @type {any} */
  #heartbeat;
  #unwatch;
  /** Milliseconds from a ping to its reply, the last one measured. */
  rttMs = /** @type {number | undefined} */ (undefined);

  /**
   * Starts to connect.
   * @param {string | URL} url `ws:`, `wss:`, `http:` or `https:`; a bare origin means its `/v1/ws`
   * @param {{token?: string, memory?: ConnectionMemory, openTimeoutMs?: number, platform: import("./platform.js").Platform}} options
   */
  constructor(url, { token, memory = {}, openTimeoutMs, platform }) {
    super();
    this.#url = url;
    this.#token = token;
    this.#platform = platform;
    this.#memory = memory;
    this.#unwatch = platform.watchNetwork((change) => this.#keeper?.hint(change));
    this.#start(openTimeoutMs);
  }

  /** Whether there is a connection now. */
  get isOpen() {
    return this.#link !== null;
  }
  /** Which connection works, or worked last. @returns {ConnectionKind} */
  get kind() {
    return this.#link?.kind ?? this.#memory.connection ?? "websocket";
  }

  /**
   * Sends a request and waits for its reply, over as many connections as it takes.
   * @param {import("./protocol.js").ClientRequest} request
   * @returns {Promise<import("./protocol.js").Reply>}
   */
  request(request) {
    if (this.#ended) return Promise.reject(new PatchbayError("connection_lost", "There is no connection to the server."));
    if (this.#waiting.size >= MAX_WAITING) return Promise.reject(new PatchbayError("rate_limited", "Too much waits for the server already."));
    return new Promise((resolve, reject) => {
      this.#waiting.set(this.#nextId++, { request, resolve, reject, sentOn: null, sentAt: 0 });
      this.#flush();
    });
  }

  /**
   * Asks the server for a sign of life, now. When none comes, the connection counts as lost.
   * @param {number} timeoutMs
   * @returns {Promise<boolean>} whether the connection lives
   */
  probe(timeoutMs) {
    return this.#link && this.#keeper ? this.#keeper.probe(timeoutMs) : Promise.resolve(this.#link !== null);
  }

  /** Tries at once, when a retry is being waited for. */
  retryNow() {
    this.#keeper?.retryNow();
  }

  /** Closes for good; no `close` event follows. Leaves, if there is a way to say so. */
  close() {
    if (this.#ended) return;
    if (this.#link) this.request({ type: "leave" }).catch(() => {});
    this.#end(new PatchbayError("closed", "The room was closed."));
  }

  // Connecting.

  /** @param {number} [timeoutMs] */
  async #start(timeoutMs = openTimeout(0)) {
    // Whoever made this listens by then.
    await null;
    this.#tell({ state: "connecting" });
    /** @type {PatchbayError | null} */
    let error = null;
    if (this.kind === "websocket") {
      const result = await this.#open("websocket", timeoutMs);
      error = result.error;
      if (!error || this.#ended) return;
      // The server itself has spoken: another way to it changes nothing.
      if (result.isAnswer || !isTemporary(error)) return this.#fail(error);
    }
    this.#withKeeper((keeper) => keeper.begin(error, timeoutMs));
  }

  /**
   * Makes a connection and says hello.
   * @param {ConnectionKind} kind
   * @param {number} timeoutMs
   * @returns {Promise<{error: PatchbayError | null, isAnswer?: boolean}>}
   */
  async #open(kind, timeoutMs) {
    let Connection;
    try {
      Connection = await LOADERS[kind]();
    } catch (cause) {
      return { error: unreachable(cause) };
    }
    if (this.#ended) return { error: new PatchbayError("closed", "The room was closed.") };
    const ticket = this.#ticket;
    const helloId = this.#nextId++;
    // What was taken grows while a connection is made beside another.
    const hello = () => encodeClientMessage(helloId, {
      type: "hello", version: PROTOCOL_VERSION, client: CLIENT, ...(ticket && { resume: { ...ticket, last_seq: this.#lastSeq, epoch: this.#epoch } }),
    });
    return new Promise((resolve) => {
      /** @type {Link} */
      const link = {
        kind, helloId, beganAt: this.#platform.now(), isOpen: false, timer: undefined, connection: /** @type {any} */ (null),
        settle: (error, isAnswer) => {
          this.#opening.delete(link);
          this.#platform.clearTimeout(link.timer);
          if (error) link.connection.close();
          resolve({ error, isAnswer });
        },
      };
      this.#opening.add(link);
      link.timer = this.#platform.setTimeout(() => link.settle(new PatchbayError("timeout", "The server did not answer in time.")), timeoutMs);
      link.connection = new Connection({ url: this.#url, token: this.#token, hello, platform: this.#platform }, {
        opened: () => {
          // Behind a first hello everything may follow at once; a session that is resumed comes first.
          if (ticket) return;
          link.isOpen = true;
          this.#flush();
        },
        message: (message) => this.#receive(link, message),
        heard: () => {
          if (link === this.#link) this.#lastHeard = this.#platform.now();
        },
        closed: (error) => this.#lose(link, error),
        credential: () => (this.#ticket ? `${this.#ticket.session}.${this.#ticket.secret}` : ""),
        lastSeq: () => this.#lastSeq,
      });
    });
  }

  /**
   * The hello was answered: from here on this connection carries the session, in place of the one before.
   * @param {Link} link
   * @param {any} reply
   */
  #establish(link, reply) {
    const before = this.#link;
    this.#link = link;
    this.#lastHeard = this.#platform.now();
    this.rttMs = this.#lastHeard - link.beganAt;
    this.#memory.connection = link.kind;
    if (reply.heartbeat_ms >= 500) this.#heartbeatMs = reply.heartbeat_ms;
    if (reply.resume_window_ms >= 0) this.#windowMs = reply.resume_window_ms;
    const isRestarted = this.#epoch !== 0 && this.#epoch !== reply.epoch;
    this.#epoch = reply.epoch;
    const isResumed = reply.type === "resumed";
    if (isResumed && (isRestarted || reply.snapshot)) this.#lastSeq = this.#ackedSeq = reply.next_seq - 1;
    this.#keepTicket(reply);
    link.isOpen = true;
    link.settle(null);
    // A server that was restarted during a join can't say what it answered.
    if (reply.snapshot && !this.#hasJoined) return this.#fail(new PatchbayError("session_gone", "The server was restarted."));
    before?.connection.close();
    this.#beat(link);
    if (this.#keeper) this.#keeper.established(link.kind);
    else this.#loadKeeper().then((keeper) => this.#link === link && keeper.established(link.kind), () => {});
    if (isResumed) this.dispatchEvent(Object.assign(new Event("resumed"), { snapshot: reply.snapshot ?? null }));
    this.#tell({ state: "connected" });
    this.#flush();
  }

  /** @param {{session?: string, secret?: string}} reply a welcome, or what joining brought */
  #keepTicket({ session, secret }) {
    if (session && secret) this.#ticket = { session, secret };
  }

  /**
   * A connection is over.
   * @param {Link} link
   * @param {PatchbayError} error
   */
  #lose(link, error) {
    if (this.#ended) return;
    if (this.#opening.has(link)) return link.settle(error);
    if (link !== this.#link) return;
    this.#link = null;
    link.connection.close();
    this.#platform.clearTimeout(this.#heartbeat);
    for (const [id, waiting] of this.#waiting) {
      if (waiting.request.type === "ping") {
        this.#waiting.delete(id);
        waiting.reject(error);
      }
    }
    if (!this.#ticket || !isTemporary(error)) return this.#fail(error);
    this.#withKeeper((keeper) => keeper.resume(error));
  }

  /** What keeps the session going when connections break: fetched behind the first one. */
  #loadKeeper() {
    this.#keeperLoading ??= import("./keeper.js").then(({ Keeper }) => (this.#keeper = new Keeper({
      platform: this.#platform,
      memory: this.#memory,
      link: () => this.#link,
      lastHeard: () => this.#lastHeard,
      ping: () => this.request({ type: "ping" }),
      canResume: () => this.#ticket !== null,
      hasJoined: () => this.#hasJoined,
      isEnded: () => this.#ended,
      windowMs: () => this.#windowMs,
      open: (kind, timeoutMs) => this.#open(kind, timeoutMs),
      abandon: (error) => [...this.#opening].forEach((link) => link.settle(error)),
      leave: (error) => this.#link && this.#lose(this.#link, error),
      tell: (step) => this.#tell(step),
      fail: (error) => this.#fail(error),
    })));
    return this.#keeperLoading;
  }

  /** @param {(keeper: import("./keeper.js").Keeper) => void} use */
  #withKeeper(use) {
    if (this.#keeper) return use(this.#keeper);
    this.#loadKeeper().then((keeper) => this.#ended || use(keeper), (cause) => {
      this.#fail(unreachable(cause));
    });
  }

  // Messages.

  /** Sends what was not sent over the connection that there is. */
  #flush() {
    const link = this.#link ?? [...this.#opening].find(({ isOpen }) => isOpen);
    if (!link) return;
    for (const [id, waiting] of this.#waiting) {
      if (waiting.sentOn === link) continue;
      waiting.sentOn = link;
      waiting.sentAt = this.#platform.now();
      this.#ackedSeq = this.#lastSeq;
      link.connection.send(encodeClientMessage(id, waiting.request, this.#lastSeq));
    }
  }

  /**
   * @param {Link} link
   * @param {import("./protocol.js").ServerMessage} message
   */
  #receive(link, message) {
    if (this.#ended) return;
    if (this.#opening.has(link)) return this.#receiveFirst(link, message);
    if (link !== this.#link) return;
    this.#lastHeard = this.#platform.now();
    if (message.seq > 0) {
      if (message.seq <= this.#lastSeq) return;
      if (message.seq > this.#lastSeq + 1) return this.#lose(link, new PatchbayError("connection_lost", "A message of the server is missing."));
      this.#lastSeq = message.seq;
    }
    if (message.type === "ok" || message.type === "error") return this.#settle(message);
    if (message.type === "going_away") this.#withKeeper((keeper) => keeper.move(message.reconnect_in_ms));
    this.dispatchEvent(Object.assign(new Event("message"), { message }));
    if (this.#lastSeq - this.#ackedSeq >= ACK_EVERY) this.#ping();
  }

  /**
   * Before its hello is answered, nothing that a connection brings counts.
   * @param {Link} link
   * @param {import("./protocol.js").ServerMessage} message
   */
  #receiveFirst(link, message) {
    if (!("id" in message) || message.id !== link.helloId) return;
    if (message.type === "error") {
      link.settle(new PatchbayError(message.code, message.message, { retryAfterMs: message.retry_after_ms }), true);
    } else if (message.type === "ok") {
      const reply = /** @type {any} */ (message.result);
      if (reply.type === "welcome") {
        // A server that knows no session any more and begins another.
        if (this.#ticket) return link.settle(new PatchbayError("session_gone", "The server no longer knows this session."), true);
        this.#lastSeq = message.seq;
      }
      this.#establish(link, reply);
    }
  }

  /** @param {Extract<import("./protocol.js").ServerEvent, {type: "ok" | "error"}>} message */
  #settle(message) {
    const id = /** @type {number} */ (message.id);
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    // It is answered at once; others may take time.
    if (waiting.request.type === "ping") this.rttMs = this.#platform.now() - waiting.sentAt;
    if (message.type === "error") return waiting.reject(new PatchbayError(message.code, message.message, { retryAfterMs: message.retry_after_ms }));
    if (message.result.type === "joined") {
      this.#hasJoined = true;
      this.#keepTicket(message.result);
    }
    waiting.resolve(message.result);
  }

  #ping() {
    this.request({ type: "ping" }).catch(() => {});
  }

  /** @param {Link} link */
  #beat(link) {
    this.#platform.clearTimeout(this.#heartbeat);
    const due = this.#platform.now() + this.#heartbeatMs;
    this.#heartbeat = this.#platform.setTimeout(() => {
      if (this.#link !== link) return;
      const now = this.#platform.now();
      if (now - due < LATE_MS && isConnectionDead(now - this.#lastHeard, this.#heartbeatMs)) {
        return this.#lose(link, new PatchbayError("timeout", "Nothing was heard from the server for too long."));
      }
      this.#ping();
      this.#beat(link);
    }, this.#heartbeatMs);
  }

  /** @param {Omit<ConnectionStep, "transport"> & {transport?: ConnectionKind}} step */
  #tell(step) {
    if (this.#ended) return;
    this.dispatchEvent(Object.assign(new Event("step"), { step: { transport: this.kind, ...step } }));
  }

  /** @param {PatchbayError} error */
  #fail(error) {
    if (this.#ended) return;
    this.#end(error);
    this.dispatchEvent(Object.assign(new Event("close"), { error }));
  }

  /** @param {PatchbayError} error */
  #end(error) {
    this.#tell({ state: "closed", error });
    this.#ended = true;
    this.#unwatch();
    this.#keeper?.stop(error);
    this.#platform.clearTimeout(this.#heartbeat);
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(error);
    for (const link of [...this.#opening]) link.settle(error);
    this.#link?.connection.close();
    this.#link = null;
  }
}

/** @param {unknown} cause */
function unreachable(cause) {
  return new PatchbayError("connection_failed", "The server cannot be reached.", { cause });
}
