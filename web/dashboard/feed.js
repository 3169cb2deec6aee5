/**
 * What happened lately: the server's events and the page's own notes, each once and the newest first.
 */

/** So much is kept. */
export const FEED_LENGTH = 500;
/** So many people and tracks are remembered. */
const KNOWN = 4_000;

/**
 * @typedef {object} FeedEvent
 * @property {string} type
 * @property {number} at_ms
 * @property {number | string} [id]
 * @property {string} [room]
 * @property {any} [participant]
 * @property {any} [track]
 * @property {boolean} [muted]
 * @property {string} [reason]
 * @property {string} [node]
 * @property {any} [room_info]
 * @property {string} [text] of notes alone
 * @property {string} [source] found out from what came before, as are the two below
 * @property {string} [name]
 * @property {any} [before] what the entry of the participant was
 */

/** @typedef {{key: string, event: FeedEvent}} FeedEntry `key` is unique in the feed */

export class Feed {
  /** @type {FeedEntry[]} newest first */
  #entries = [];
  /** @type {Set<string>} */
  #keys = new Set();
  #epoch = "";
  /** @type {string | null} */
  #lastId = null;
  #notes = 0;
  /** Entries by room and identity, sources by room and track: what comes later names only ids.
   * @type {Map<string, any>} */
  #known = new Map();

  /** @returns {readonly FeedEntry[]} */
  get entries() {
    return this.#entries;
  }

  /** From where the server should go on. */
  get lastId() {
    return this.#lastId;
  }

  /**
   * The server's life: ids of another one mean something else, and all its events are news.
   * @param {string} epoch
   * @returns {boolean} whether it is another one than before
   */
  begin(epoch) {
    if (epoch === this.#epoch) return false;
    const isAnother = this.#epoch !== "";
    this.#epoch = epoch;
    this.#lastId = isAnother ? `${epoch}-0` : null;
    return isAnother;
  }

  /**
   * One event of the stream.
   * @param {import("./stream.js").StreamEvent} streamed
   * @returns {FeedEvent | null} what is new, or null if it was there or can't be read
   */
  take({ id, type, data }) {
    if (id) this.#lastId = id;
    if (type === "gap") {
      return this.#insert(`${this.#epoch} gap ${id ?? ""} ${this.#notes += 1}`, { type: "gap", at_ms: this.#entries[0]?.event.at_ms ?? Date.now() });
    }
    /** @type {FeedEvent} */
    let event;
    try {
      event = JSON.parse(data);
    } catch {
      return null;
    }
    if (event === null || typeof event !== "object" || typeof event.type !== "string" || typeof event.at_ms !== "number") return null;
    const key = id ?? String(event.id ?? "");
    this.#complete(event);
    return this.#insert(`${this.#epoch} ${key === "" ? `? ${this.#notes += 1}` : key}`, event);
  }

  /**
   * Adds what earlier events said of the same person and track.
   * @param {FeedEvent} event
   */
  #complete(event) {
    const person = event.participant;
    if (person && typeof person === "object") {
      const key = `${event.room} of ${person.identity}`;
      event.before = this.#known.get(key);
      if (typeof person.name === "string") this.#know(key, person);
      event.name = String(person.name || event.before?.name || person.identity || "");
      for (const track of Array.isArray(person.tracks) ? person.tracks : []) this.#know(`${event.room} has ${track.id}`, track.source);
    }
    if (event.track && typeof event.track === "object") {
      const key = `${event.room} has ${event.track.id}`;
      if (typeof event.track.source === "string") this.#know(key, event.track.source);
      event.source = this.#known.get(key);
    }
  }

  /**
   * Remembers who is in a room and with what, as a list has it: events from before the page was opened said so.
   * @param {string} room
   * @param {readonly any[]} people
   */
  learn(room, people) {
    for (const person of people) {
      this.#know(`${room} of ${person.identity}`, person);
      for (const track of Array.isArray(person.tracks) ? person.tracks : []) this.#know(`${room} has ${track.track}`, track.source);
    }
  }

  /**
   * @param {string} key
   * @param {any} value
   */
  #know(key, value) {
    this.#known.delete(key);
    this.#known.set(key, value);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= KNOWN) break;
      this.#known.delete(oldest);
    }
  }

  /**
   * Something that the page itself saw.
   * @param {string} text
   * @param {number} at
   */
  note(text, at) {
    this.#insert(`note ${this.#notes += 1}`, { type: "note", at_ms: at, text });
  }

  /**
   * @param {string} key
   * @param {FeedEvent} event
   */
  #insert(key, event) {
    if (this.#keys.has(key)) return null;
    this.#keys.add(key);
    // What is late goes where it belongs; what is of the same moment stays in the order it came.
    let at = 0;
    while (at < this.#entries.length && this.#entries[at].event.at_ms > event.at_ms) at += 1;
    this.#entries.splice(at, 0, { key, event });
    for (const gone of this.#entries.splice(FEED_LENGTH)) this.#keys.delete(gone.key);
    return event;
  }
}
