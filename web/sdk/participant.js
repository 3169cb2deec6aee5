/**
 * A participant as the application sees it: a view of the roster that stays the same object while the participant is
 * in the room, across rejoins of the own client too.
 */

/** What somebody publishes, to be shown in a slot. */
export class RemoteTrack {
  /**
   * @param {Participant} participant
   * @param {import("./protocol.js").TrackEntry} entry
   */
  constructor(participant, entry) {
    /** Whose. */
    this.participant = participant;
    /** Unique in the room. */
    this.id = entry.id;
    /** What it carries. */
    this.source = entry.source;
    /** Audio or video. */
    this.kind = entry.kind;
    /** Silenced by its owner. */
    this.muted = entry.muted;
  }
}

export class Participant {
  /** @type {import("./roster.js").RosterEntry} */
  #entry;
  /** @type {readonly RemoteTrack[]} */
  #tracks = [];

  /**
   * @param {import("./roster.js").RosterEntry} entry
   * @param {boolean} isSelf
   */
  constructor(entry, isSelf) {
    /** Whether this is the own entry. */
    this.isSelf = isSelf;
    this.#entry = entry;
    this.#tracks = entry.tracks.map((track) => new RemoteTrack(this, track));
  }

  /** Unique in the room; the CSRC of this participant's media. */
  get number() {
    return this.#entry.number;
  }
  /** Unique in the room, stable across rejoins. */
  get identity() {
    return this.#entry.identity;
  }
  /** The name to show. Plain text: never markup. */
  get name() {
    return this.#entry.name;
  }
  /** What the application put there, or null. */
  get metadata() {
    return this.#entry.metadata;
  }
  /** Whether this participant asks to be heard. */
  get handRaised() {
    return this.#entry.handRaised;
  }
  /** The application's own texts by key. */
  get attributes() {
    return this.#entry.attributes;
  }
  /** Whether somebody is at the screen. */
  get presence() {
    return this.#entry.presence;
  }
  /** Everything this participant publishes. */
  get tracks() {
    return this.#tracks;
  }
  /** @returns {RemoteTrack | null} */
  get camera() {
    return this.trackOf("camera");
  }
  /** @returns {RemoteTrack | null} */
  get microphone() {
    return this.trackOf("microphone");
  }
  /** @returns {RemoteTrack | null} */
  get screen() {
    return this.trackOf("screen");
  }
  /** @returns {RemoteTrack | null} */
  get screenAudio() {
    return this.trackOf("screen_audio");
  }

  /**
   * @param {import("./protocol.js").Source} source
   * @returns {RemoteTrack | null}
   */
  trackOf(source) {
    return this.#tracks.find((track) => track.source === source) ?? null;
  }

  /**
   * Takes over a newer entry. For the room alone.
   * @param {import("./roster.js").RosterEntry} entry
   */
  update(entry) {
    if (entry === this.#entry) return;
    this.#entry = entry;
    this.#tracks = entry.tracks.map((track) => new RemoteTrack(this, track));
  }
}
