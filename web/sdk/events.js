/** The events of a `Room`, each with what it is about as properties. */

/** `statechange`: the room's state, in a word. */
export class StateChangeEvent extends Event {
  /**
   * @param {import("./room.js").RoomState} state
   * @param {{error?: import("./errors.js").PatchbayError, retryInMs?: number, attempt?: number}} [details]
   */
  constructor(state, { error, retryInMs, attempt } = {}) {
    super("statechange");
    this.state = state;
    /** Why, when it is `reconnecting` or `closed` and nobody asked for it. */
    this.error = error;
    /** When the next try starts, when it is `reconnecting` and waits. */
    this.retryInMs = retryInMs;
    /** How many tries were made, when it is `reconnecting`. */
    this.attempt = attempt;
  }
}

/** `participantjoined`, `participantleft`, `participantupdated`. */
export class ParticipantEvent extends Event {
  /**
   * @param {"participantjoined" | "participantleft" | "participantupdated"} type
   * @param {import("./participant.js").Participant} participant
   * @param {import("./protocol.js").LeaveReason} [reason] of leaving
   */
  constructor(type, participant, reason) {
    super(type);
    this.participant = participant;
    this.reason = reason;
  }
}

/** `trackpublished`, `trackunpublished`, `trackmuted`. */
export class TrackEvent extends Event {
  /**
   * @param {"trackpublished" | "trackunpublished" | "trackmuted"} type
   * @param {import("./participant.js").RemoteTrack} track
   * @param {number} [by] the moderator who muted it
   */
  constructor(type, track, by) {
    super(type);
    this.track = track;
    /** The number of the moderator who muted it, if one did. */
    this.by = by;
    this.participant = track.participant;
  }
}

/** `speakerschanged`: who speaks now, loudest first. */
export class SpeakersEvent extends Event {
  /** @param {readonly import("./participant.js").Participant[]} speakers */
  constructor(speakers) {
    super("speakerschanged");
    this.speakers = speakers;
  }
}

/** `chat`: a line of text. */
export class ChatEvent extends Event {
  /**
   * @param {import("./chat.js").ChatLine} line
   * @param {import("./participant.js").Participant | null} participant
   */
  constructor(line, participant) {
    super("chat");
    this.line = line;
    /** Who wrote it, while they are in the room. */
    this.participant = participant;
    /** The writer's name at that time. */
    this.name = line.name;
    /** Plain text: never markup. */
    this.text = line.text;
    this.sentAt = line.sentAt;
  }
}

/** `connectionstate`: a step of the connection to signaling. Media does not depend on it while it is away. */
export class ConnectionStateEvent extends Event {
  /**
   * @param {import("./signaling.js").ConnectionStep} step
   * @param {string} words for a person
   */
  constructor({ state, transport, attempt, retryInMs, error }, words) {
    super("connectionstate");
    this.state = state;
    /** `websocket`, `sse` or `poll`. */
    this.transport = transport;
    /** Tries since the connection was lost, from 0. */
    this.attempt = attempt ?? 0;
    /** When the next try starts, while one is waited for. */
    this.retryInMs = retryInMs;
    this.error = error;
    this.words = words;
  }
}

/**
 * The events that carry little: `roomupdated` (`info`), `grantschanged` (`grants`), `tokenexpiring` (`expiresAt`), `presence`
 * (`participant`, `state`, `typing`), `waiting` (`position`), `waitingchanged` (`waiting`: who waits to be admitted).
 * @template {object} T
 * @param {string} type
 * @param {T} details
 * @returns {Event & T}
 */
export function roomEvent(type, details) {
  return Object.assign(new Event(type), details);
}
