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
    constructor(participant: Participant, entry: import("./protocol.js").TrackEntry);
    /** Whose. */
    participant: Participant;
    /** Unique in the room. */
    id: number;
    /** What it carries. */
    source: import("./protocol.js").Source;
    /** Audio or video. */
    kind: import("./protocol.js").MediaKind;
    /** Silenced by its owner. */
    muted: boolean;
}
export class Participant {
    /**
     * @param {import("./roster.js").RosterEntry} entry
     * @param {boolean} isSelf
     */
    constructor(entry: import("./roster.js").RosterEntry, isSelf: boolean);
    /** Whether this is the own entry. */
    isSelf: boolean;
    /** Unique in the room; the CSRC of this participant's media. */
    get number(): number;
    /** Unique in the room, stable across rejoins. */
    get identity(): string;
    /** The name to show. Plain text: never markup. */
    get name(): string;
    /** What the application put there, or null. */
    get metadata(): unknown;
    /** Whether this participant asks to be heard. */
    get handRaised(): boolean;
    /** The application's own texts by key. */
    get attributes(): Readonly<Record<string, string>>;
    /** Whether somebody is at the screen. */
    get presence(): import("./protocol.js").PresenceState;
    /** Everything this participant publishes. */
    get tracks(): readonly RemoteTrack[];
    /** @returns {RemoteTrack | null} */
    get camera(): RemoteTrack | null;
    /** @returns {RemoteTrack | null} */
    get microphone(): RemoteTrack | null;
    /** @returns {RemoteTrack | null} */
    get screen(): RemoteTrack | null;
    /** @returns {RemoteTrack | null} */
    get screenAudio(): RemoteTrack | null;
    /**
     * @param {import("./protocol.js").Source} source
     * @returns {RemoteTrack | null}
     */
    trackOf(source: import("./protocol.js").Source): RemoteTrack | null;
    /**
     * Takes over a newer entry. For the room alone.
     * @param {import("./roster.js").RosterEntry} entry
     */
    update(entry: import("./roster.js").RosterEntry): void;
    #private;
}
