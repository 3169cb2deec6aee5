/**
 * The roster that a `joined` reply describes.
 * @param {{participant: import("./protocol.js").ParticipantEntry, participants: import("./protocol.js").ParticipantEntry[]}} joined
 * @returns {Roster}
 */
export function rosterOf(joined: {
    participant: import("./protocol.js").ParticipantEntry;
    participants: import("./protocol.js").ParticipantEntry[];
}): Roster;
/**
 * The roster after an event. Events that do not concern it, or that name somebody unknown, change nothing, and then
 * the same object comes back.
 * @param {Roster} roster
 * @param {import("./protocol.js").ServerEvent} event
 * @returns {Roster}
 */
export function reduce(roster: Roster, event: import("./protocol.js").ServerEvent): Roster;
/**
 * Who is in the room and what they publish: plain data and one pure function over the server's events.
 */
/**
 * @typedef {Readonly<{number: number, identity: string, name: string, metadata: unknown, handRaised: boolean,
 *   attributes: Readonly<Record<string, string>>, presence: import("./protocol.js").PresenceState, tracks: readonly Readonly<import("./protocol.js").TrackEntry>[]}>} RosterEntry
 * @typedef {Readonly<{self: number | null, entries: ReadonlyMap<number, RosterEntry>, speakers: readonly number[]}>} Roster
 */
/** @type {Roster} */
export const EMPTY_ROSTER: Roster;
export type RosterEntry = Readonly<{
    number: number;
    identity: string;
    name: string;
    metadata: unknown;
    handRaised: boolean;
    attributes: Readonly<Record<string, string>>;
    presence: import("./protocol.js").PresenceState;
    tracks: readonly Readonly<import("./protocol.js").TrackEntry>[];
}>;
export type Roster = Readonly<{
    self: number | null;
    entries: ReadonlyMap<number, RosterEntry>;
    speakers: readonly number[];
}>;
