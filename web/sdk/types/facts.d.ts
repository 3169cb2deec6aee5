export class Facts {
    /** @param {(event: Event) => void} tell */
    constructor(tell: (event: Event) => void);
    /** What the own client may do, once joined. @type {import("./protocol.js").Grants | null} */
    grants: import("./protocol.js").Grants | null;
    /** Metadata, attributes, lock and bounds, once joined. @type {import("./protocol.js").RoomInfo | null} */
    info: import("./protocol.js").RoomInfo | null;
    /** Who waits to be admitted, for moderators. @type {readonly import("./protocol.js").WaitingParticipant[]} */
    waiting: readonly import("./protocol.js").WaitingParticipant[];
    /** @param {import("./protocol.js").Snapshot} joined */
    take(joined: import("./protocol.js").Snapshot): void;
    /** Tells everything, as after a restart of the server. */
    tellAll(): void;
    /**
     * @param {import("./protocol.js").ServerMessage} message
     * @returns {boolean} whether it was for here
     */
    receive(message: import("./protocol.js").ServerMessage): boolean;
    #private;
}
