/**
 * Who is in the room and what they publish: plain data and one pure function over the server's events.
 */

/**
 * @typedef {Readonly<{number: number, identity: string, name: string, metadata: unknown, handRaised: boolean,
 *   attributes: Readonly<Record<string, string>>, presence: import("./protocol.js").PresenceState, tracks: readonly Readonly<import("./protocol.js").TrackEntry>[]}>} RosterEntry
 * @typedef {Readonly<{self: number | null, entries: ReadonlyMap<number, RosterEntry>, speakers: readonly number[]}>} Roster
 */

/** @type {Roster} */
export const EMPTY_ROSTER = { self: null, entries: new Map(), speakers: [] };

/**
 * The roster that a `joined` reply describes.
 * @param {{participant: import("./protocol.js").ParticipantEntry, participants: import("./protocol.js").ParticipantEntry[]}} joined
 * @returns {Roster}
 */
export function rosterOf(joined) {
  const all = [joined.participant, ...joined.participants].map(entryOf);
  return { self: joined.participant.number, entries: new Map(all.map((entry) => [entry.number, entry])), speakers: [] };
}

/**
 * The roster after an event. Events that do not concern it, or that name somebody unknown, change nothing, and then
 * the same object comes back.
 * @param {Roster} roster
 * @param {import("./protocol.js").ServerEvent} event
 * @returns {Roster}
 */
export function reduce(roster, event) {
  switch (event.type) {
    case "participant_joined":
    case "participant_updated":
      return withEntry(roster, entryOf(event.participant));
    case "participant_left": {
      if (!roster.entries.has(event.participant)) return roster;
      const entries = new Map(roster.entries);
      entries.delete(event.participant);
      return { ...roster, entries, speakers: roster.speakers.filter((number) => number !== event.participant) };
    }
    case "track_published":
      return withTracks(roster, event.participant, (tracks) => [
        ...tracks.filter((track) => track.id !== event.track.id && track.source !== event.track.source),
        event.track,
      ]);
    case "track_unpublished":
      return withTracks(roster, event.participant, (tracks) => tracks.filter((track) => track.id !== event.track));
    case "track_muted":
      return withTracks(roster, event.participant, (tracks) =>
        tracks.map((track) => (track.id === event.track ? { ...track, muted: event.muted } : track)),
      );
    case "presence": {
      const entry = roster.entries.get(event.participant);
      return entry && entry.presence !== event.state ? withEntry(roster, { ...entry, presence: event.state }) : roster;
    }
    case "speakers":
      return { ...roster, speakers: event.speakers };
    default:
      return roster;
  }
}

/**
 * @param {import("./protocol.js").ParticipantEntry} entry
 * @returns {RosterEntry}
 */
function entryOf(entry) {
  return {
    number: entry.number,
    identity: entry.identity,
    name: entry.name,
    metadata: entry.metadata ?? null,
    handRaised: entry.hand_raised ?? false,
    attributes: entry.attributes ?? {},
    presence: entry.presence ?? "active",
    tracks: entry.tracks ?? [],
  };
}

/**
 * @param {Roster} roster
 * @param {RosterEntry} entry
 * @returns {Roster}
 */
function withEntry(roster, entry) {
  return { ...roster, entries: new Map(roster.entries).set(entry.number, entry) };
}

/**
 * @param {Roster} roster
 * @param {number} number
 * @param {(tracks: RosterEntry["tracks"]) => RosterEntry["tracks"]} change
 * @returns {Roster}
 */
function withTracks(roster, number, change) {
  const entry = roster.entries.get(number);
  return entry ? withEntry(roster, { ...entry, tracks: change(entry.tracks) }) : roster;
}
