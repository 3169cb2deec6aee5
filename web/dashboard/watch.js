/**
 * Follows a server: asks for its state, reads its events, keeps the list of rooms, and comes back by itself when the server
 * was away. What changed is told by events: `state`, `figures`, `feed`, `rooms`, `room`.
 */
import { ApiError } from "./api.js";
import { Feed } from "./feed.js";
import { readRoom } from "./order.js";
import { StatusReader } from "./status.js";
import { readStream } from "./stream.js";

const STATUS_EVERY_MS = 2_000;
/** Events say which rooms changed; this is for what they don't say. */
const ROOMS_EVERY_MS = 10_000;
const ROOM_EVERY_MS = 5_000;
/** After an event, so that a crowd that joins is one question. */
const SETTLE_MS = 250;
/** Beyond this many rooms that changed at once, the list is asked for instead. */
const SINGLE_ROOMS = 4;
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 10_000;

/** @typedef {{kind: "connecting" | "live" | "away" | "refused", sinceMs: number, retryAtMs: number | null, code: string | null, error: ApiError | null}} State */
/** @typedef {"rooms" | "room" | "events"} Part what the token may not allow, beside the status */

export class Watch extends EventTarget {
  feed = new Feed();
  /** @type {Map<string, import("./order.js").RoomRow>} */
  rooms = new Map();
  /** When the list of rooms was first there. */
  hasRooms = false;
  /** @type {import("./status.js").Figures | null} */
  figures = null;
  /** @type {State} */
  state = { kind: "connecting", sinceMs: Date.now(), retryAtMs: null, code: null, error: null };
  /** Parts that the server refuses to this token.
   * @type {Map<Part, ApiError>} */
  refused = new Map();
  /** The room that is looked at.
   * @type {{name: string, people: any[] | null, isGone: boolean} | null} */
  room = null;

  #reader = new StatusReader();
  #end = new AbortController();
  /** @type {AbortController | null} */
  #stream = null;
  /** @type {(() => void) | null} */
  #wake = null;
  #retryMs = FIRST_RETRY_MS;
  /** Rooms that changed since they were last asked for.
   * @type {Set<string>} */
  #changed = new Set();
  #roomsDueMs = 0;
  #roomDueMs = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #isAsking = false;

  /** @param {import("./api.js").Api} api */
  constructor(api) {
    super();
    this.api = api;
  }

  start() {
    this.#followStatus();
    this.#followEvents();
  }

  close() {
    this.#end.abort();
    this.#stream?.abort();
    this.#wake?.();
    clearTimeout(this.#timer);
  }

  /** Asks now instead of later. */
  retry() {
    this.#retryMs = FIRST_RETRY_MS;
    this.#wake?.();
  }

  /**
   * Looks at one room, or at none.
   * @param {string | null} name
   */
  open(name) {
    if ((this.room?.name ?? null) === name) return;
    this.room = name === null ? null : { name, people: null, isGone: false };
    this.refused.delete("room");
    this.#tell("room");
    this.#roomDueMs = 0;
    this.#plan(0);
  }

  /**
   * Does something to a room or somebody in it, and looks what became of it.
   * @param {string} path
   * @param {{method: string, body?: unknown}} options
   */
  async act(path, options) {
    try {
      return await this.api.call(path, { ...options, signal: this.#end.signal });
    } finally {
      this.#roomsDueMs = this.#roomDueMs = 0;
      this.#plan(SETTLE_MS);
    }
  }

  async #followStatus() {
    while (!this.#end.signal.aborted) {
      let waitMs = STATUS_EVERY_MS;
      try {
        const raw = await this.api.call("/status", { signal: this.#end.signal });
        if (this.#end.signal.aborted) return;
        const now = Date.now();
        this.figures = this.#reader.read(raw, now);
        const wasAway = this.state.kind === "away";
        this.#retryMs = FIRST_RETRY_MS;
        const isAnother = this.feed.begin(this.figures.epoch);
        if (isAnother) this.feed.note("The server was started anew", now);
        else if (wasAway) this.feed.note("The server answers again", now);
        if (isAnother || wasAway) this.#roomsDueMs = this.#roomDueMs = 0;
        if (isAnother) this.#stream?.abort();
        this.#become({ kind: "live", sinceMs: now, retryAtMs: null, code: null, error: null });
        this.#tell("figures");
        this.#plan(0);
      } catch (error) {
        if (this.#end.signal.aborted) return;
        waitMs = this.#failed(error);
        if (this.state.kind === "refused") return;
      }
      await this.#pause(waitMs);
    }
  }

  /**
   * @param {unknown} error of a question for the status
   * @returns {number} how long to wait
   */
  #failed(error) {
    const now = Date.now();
    const failure = error instanceof ApiError ? error : new ApiError(0, "odd", String(error));
    if (failure.isRefusal || failure.status === 404) {
      this.#become({ kind: "refused", sinceMs: now, retryAtMs: null, code: failure.code, error: failure });
      return 0;
    }
    const waitMs = Math.max(failure.retryAfterMs ?? 0, this.#retryMs * (0.75 + Math.random() / 2));
    this.#retryMs = Math.min(LAST_RETRY_MS, this.#retryMs * 1.6);
    const isNew = this.state.kind !== "away";
    if (isNew) {
      if (this.state.kind === "live") this.feed.note("The server doesn't answer", now);
      // What the stream still has is of a server that is gone; a half-open one would never end.
      this.#stream?.abort();
    }
    this.#become({ kind: "away", sinceMs: isNew ? now : this.state.sinceMs, retryAtMs: now + waitMs, code: failure.code, error: failure });
    this.#tell("figures");
    return waitMs;
  }

  async #followEvents() {
    let failures = 0;
    while (!this.#end.signal.aborted) {
      if (this.state.kind === "live") {
        const stream = (this.#stream = new AbortController());
        const signal = AbortSignal.any([stream.signal, this.#end.signal]);
        try {
          const body = await this.api.stream("/events", this.feed.lastId, signal);
          this.refused.delete("events");
          this.#tell("feed");
          for await (const event of readStream(body)) {
            if (signal.aborted) break;
            failures = 0;
            this.#happened(event);
          }
        } catch (error) {
          if (error instanceof ApiError && error.isRefusal) {
            this.refused.set("events", error);
            this.#tell("feed");
            return;
          }
          if (error instanceof ApiError && error.retryAfterMs !== null) await this.#sleep(error.retryAfterMs);
        }
        failures += 1;
        await this.#sleep(Math.min(LAST_RETRY_MS, 300 * failures));
      } else {
        await this.#once("state");
      }
    }
  }

  /** @param {import("./stream.js").StreamEvent} streamed */
  #happened(streamed) {
    const event = this.feed.take(streamed);
    if (!event) return;
    this.#tell("feed");
    if (event.type === "gap") this.#roomsDueMs = this.#roomDueMs = 0;
    if (event.type === "room_closed" && typeof event.room === "string") {
      this.#closed(event.room);
    } else if (typeof event.room === "string") {
      this.#changed.add(event.room);
      if (event.room === this.room?.name) this.#roomDueMs = 0;
    }
    this.#plan(SETTLE_MS);
  }

  /** @param {string} name */
  #closed(name) {
    this.#changed.delete(name);
    if (this.rooms.delete(name)) this.#tell("rooms");
    if (this.room?.name !== name) return;
    this.room.people = [];
    this.room.isGone = true;
    this.#tell("room");
  }

  /** @param {number} afterMs */
  #plan(afterMs) {
    if (this.#timer !== undefined || this.#isAsking || this.#end.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#ask();
    }, afterMs);
  }

  /** Asks for what is due. */
  async #ask() {
    if (this.state.kind !== "live") return;
    this.#isAsking = true;
    try {
      const now = Date.now();
      if (this.room && now >= this.#roomDueMs && !(this.room.isGone && !this.#changed.has(this.room.name) && !this.rooms.has(this.room.name))) {
        this.#roomDueMs = now + ROOM_EVERY_MS;
        await this.#askRoom(this.room);
      }
      if (this.refused.has("rooms")) return;
      if (now >= this.#roomsDueMs || this.#changed.size > SINGLE_ROOMS) {
        this.#changed.clear();
        await this.#askRooms(now);
      } else if (this.#changed.size > 0) {
        const names = [...this.#changed];
        this.#changed.clear();
        await Promise.all(names.map((name) => this.#askOne(name)));
      }
    } catch (error) {
      // The status finds out when the server is away; a server that is too busy is asked again later.
      if (error instanceof ApiError && error.isRefusal) {
        this.refused.set("rooms", error);
        this.#tell("rooms");
      } else if (error instanceof ApiError && error.retryAfterMs !== null) {
        this.#roomsDueMs = Date.now() + error.retryAfterMs;
      }
    } finally {
      this.#isAsking = false;
      if (this.#changed.size > 0) this.#plan(SETTLE_MS);
    }
  }

  /** @param {number} now */
  async #askRooms(now) {
    this.#roomsDueMs = now + ROOMS_EVERY_MS;
    const items = await this.api.list("/rooms", this.#end.signal);
    // A large list takes the server time: ask for it less often.
    this.#roomsDueMs = Math.max(this.#roomsDueMs, now + (Date.now() - now) * 20);
    const rooms = items.map(readRoom);
    this.rooms = new Map(rooms.map((room) => [room.name, room]));
    this.hasRooms = true;
    this.refused.delete("rooms");
    this.#tell("rooms");
  }

  /** @param {string} name */
  async #askOne(name) {
    try {
      this.rooms.set(name, readRoom(await this.api.call(`/rooms/${encodeURIComponent(name)}`, { signal: this.#end.signal })));
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
      this.rooms.delete(name);
    }
    this.#tell("rooms");
  }

  /** @param {NonNullable<Watch["room"]>} room */
  async #askRoom(room) {
    try {
      const people = await this.api.list(`/rooms/${encodeURIComponent(room.name)}/participants`, this.#end.signal);
      if (this.room !== room) return;
      room.people = people;
      this.feed.learn(room.name, people);
      room.isGone = false;
      this.refused.delete("room");
    } catch (error) {
      if (this.room !== room) return;
      if (error instanceof ApiError && error.status === 404) {
        room.people = [];
        room.isGone = true;
      } else if (error instanceof ApiError && error.isRefusal) {
        this.refused.set("room", error);
      } else {
        throw error;
      }
    }
    this.#tell("room");
  }

  /** @param {State} state */
  #become(state) {
    const isSame = this.state.kind === "live" && state.kind === "live";
    if (!isSame) this.state = state;
    if (!isSame) this.#tell("state");
  }

  /** @param {"state" | "figures" | "feed" | "rooms" | "room"} type */
  #tell(type) {
    this.dispatchEvent(new Event(type));
  }

  /** @param {number} ms */
  #pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms, undefined);
      const end = () => done();
      function done() {
        clearTimeout(timer);
        resolve(undefined);
      }
      this.#wake = end;
    });
  }

  /** @param {number} ms */
  #sleep(ms) {
    return new Promise((resolve) => {
      setTimeout(resolve, ms);
      this.#end.signal.addEventListener("abort", () => resolve(undefined), { once: true });
    });
  }

  /** @param {string} type */
  #once(type) {
    return new Promise((resolve) => {
      this.addEventListener(type, resolve, { once: true });
      this.#end.signal.addEventListener("abort", resolve, { once: true });
    });
  }
}
