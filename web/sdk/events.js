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
   */
  constructor(type, track) {
    super(type);
    this.track = track;
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
  /** @param {{participant: import("./participant.js").Participant | null, name: string, text: string, sentAt: Date}} line */
  constructor({ participant, name, text, sentAt }) {
    super("chat");
    /** Who wrote it, while they are in the room. */
    this.participant = participant;
    /** The writer's name at that time. */
    this.name = name;
    /** Plain text: never markup. */
    this.text = text;
    this.sentAt = sentAt;
  }
}
