export class Participants {
    /** @param {(event: Event) => void} tell */
    constructor(tell: (event: Event) => void);
    get roster(): Readonly<{
        self: number | null;
        entries: ReadonlyMap<number, import("./roster.js").RosterEntry>;
        speakers: readonly number[];
    }>;
    /** How many, oneself included. */
    get size(): number;
    /** @returns {Participant | null} */
    get self(): Participant | null;
    /** In the order of their arrival. */
    get others(): Participant[];
    /** Who speaks now, loudest first. */
    get speakers(): Participant[];
    /**
     * @param {number | null} number
     * @returns {Participant | null}
     */
    byNumber(number: number | null): Participant | null;
    /**
     * Somebody who rejoins may be there twice for a moment: the newer entry holds.
     * @param {string} identity
     */
    byIdentity(identity: string): Participant | null;
    /**
     * Takes over a roster and tells what changed in it.
     * @param {import("./roster.js").Roster} roster
     * @param {import("./protocol.js").ServerEvent} [event] what changed it; without one everything may have
     */
    apply(roster: import("./roster.js").Roster, event?: import("./protocol.js").ServerEvent): void;
    #private;
}
import { Participant } from "./participant.js";
