/** Who is in the room, as objects that stay the same across rejoins, and the events that tell what changed. */
import { ParticipantEvent, SpeakersEvent, TrackEvent } from "./events.js";
import { Participant } from "./participant.js";
import { EMPTY_ROSTER } from "./roster.js";

export class Participants {
  #tell;
  #roster = EMPTY_ROSTER;
  /** By number. @type {Map<number, Participant>} */
  #entries = new Map();

  /** @param {(event: Event) => void} tell */
  constructor(tell) {
    this.#tell = tell;
  }

  get roster() {
    return this.#roster;
  }
  /** How many, oneself included. */
  get size() {
    return this.#entries.size;
  }
  /** @returns {Participant | null} */
  get self() {
    return this.byNumber(this.#roster.self);
  }
  /** In the order of their arrival. */
  get others() {
    return [...this.#entries.values()].filter((participant) => !participant.isSelf);
  }
  /** Who speaks now, loudest first. */
  get speakers() {
    return this.#roster.speakers.flatMap((number) => this.#entries.get(number) ?? []);
  }

  /**
   * @param {number | null} number
   * @returns {Participant | null}
   */
  byNumber(number) {
    return number === null ? null : (this.#entries.get(number) ?? null);
  }

  /**
   * Somebody who rejoins may be there twice for a moment: the newer entry holds.
   * @param {string} identity
   */
  byIdentity(identity) {
    return [...this.#entries.values()].findLast((participant) => participant.identity === identity) ?? null;
  }

  /**
   * Takes over a roster and tells what changed in it.
   * @param {import("./roster.js").Roster} roster
   * @param {import("./protocol.js").ServerEvent} [event] what changed it; without one everything may have
   */
  apply(roster, event) {
    const before = this.#roster;
    if (roster === before) return;
    this.#roster = roster;
    const known = new Map([...this.#entries.values()].map((participant) => [participant.identity, participant]));
    const previous = this.#entries;
    /** @type {Participant[]} */
    const joined = [];
    /** @type {Participant[]} */
    const updated = [];
    this.#entries = new Map();
    for (const [number, entry] of roster.entries) {
      const isSelf = number === roster.self;
      let participant = known.get(entry.identity);
      if (participant && participant.isSelf === isSelf) {
        known.delete(entry.identity);
      } else {
        participant = new Participant(entry, isSelf);
        joined.push(participant);
      }
      const { tracks } = participant;
      if (!joined.includes(participant) && isUpdate(before.entries.get(number), entry, event)) updated.push(participant);
      participant.update(entry);
      this.#entries.set(number, participant);
      if (previous.has(number)) this.#tellTracks(tracks, participant, event);
    }
    for (const participant of known.values()) {
      this.#tell(new ParticipantEvent("participantleft", participant, event?.type === "participant_left" ? event.reason : "left"));
    }
    for (const participant of joined) if (!participant.isSelf) this.#tell(new ParticipantEvent("participantjoined", participant));
    for (const participant of updated) this.#tell(new ParticipantEvent("participantupdated", participant));
    if (roster.speakers !== before.speakers) this.#tell(new SpeakersEvent(this.speakers));
  }

  /**
   * @param {readonly import("./participant.js").RemoteTrack[]} before
   * @param {Participant} participant
   * @param {import("./protocol.js").ServerEvent} [event]
   */
  #tellTracks(before, participant, event) {
    if (before === participant.tracks) return;
    for (const track of before) {
      if (!participant.tracks.some(({ id }) => id === track.id)) this.#tell(new TrackEvent("trackunpublished", track));
    }
    for (const track of participant.tracks) {
      const old = before.find(({ id }) => id === track.id);
      if (!old) this.#tell(new TrackEvent("trackpublished", track));
      else if (old.muted !== track.muted) this.#tell(new TrackEvent("trackmuted", track, event?.type === "track_muted" ? event.by : undefined));
    }
  }
}

/**
 * Whether somebody changed in more than tracks, which have events of their own.
 * @param {import("./roster.js").RosterEntry | undefined} before
 * @param {import("./roster.js").RosterEntry} entry
 * @param {import("./protocol.js").ServerEvent} [event]
 */
function isUpdate(before, entry, event) {
  if (event) return event.type === "participant_updated" && event.participant.number === entry.number;
  return JSON.stringify({ ...before, tracks: 0 }) !== JSON.stringify({ ...entry, tracks: 0 });
}
