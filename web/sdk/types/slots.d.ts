/**
 * @typedef {object} SlotsHost what the slots need of their room
 * @property {import("./participants.js").Participants} participants
 * @property {import("./platform.js").Platform} platform
 * @property {() => import("./session.js").Session | null} session to talk to now
 * @property {() => Promise<void>} sync makes the session carry every slot
 */
export class Slots {
    /** @param {SlotsHost} host */
    constructor(host: SlotsHost);
    /** @returns {readonly Slot[]} */
    get all(): readonly Slot[];
    /** @param {import("./protocol.js").MediaKind} kind */
    add(kind: import("./protocol.js").MediaKind): Slot;
    /** @param {import("./protocol.js").MediaKind} kind */
    take(kind: import("./protocol.js").MediaKind): Slot;
    /**
     * What a slot wants, as the server names it.
     * @param {import("./slot.js").Wanted} wanted
     * @returns {import("./protocol.js").SlotSource | null}
     */
    sourceOf(wanted: import("./slot.js").Wanted): import("./protocol.js").SlotSource | null;
    /**
     * What the server says flows in a slot.
     * @param {{mid: string} & import("./protocol.js").SlotState} state
     */
    receive(state: {
        mid: string;
    } & import("./protocol.js").SlotState): void;
    /**
     * Tells the server anew whom slots show: somebody has another number than before, or everybody may have.
     * @param {string} [identity]
     */
    point(identity?: string): void;
    /** Empties the slots of whoever is gone, without a word of the server. */
    forgetTheGone(): void;
    /** @param {unknown} error */
    end(error: unknown): void;
    #private;
}
/**
 * what the slots need of their room
 */
export type SlotsHost = {
    participants: import("./participants.js").Participants;
    platform: import("./platform.js").Platform;
    /**
     * to talk to now
     */
    session: () => import("./session.js").Session | null;
    /**
     * makes the session carry every slot
     */
    sync: () => Promise<void>;
};
import { Slot } from "./slot.js";
