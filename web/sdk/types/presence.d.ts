/** Whether one is at the screen, and whether one types, as others are told. */
export class Presence {
    /** @param {(request: import("./protocol.js").ClientRequest) => Promise<unknown>} request */
    constructor(request: (request: import("./protocol.js").ClientRequest) => Promise<unknown>);
    /** @param {import("./protocol.js").PresenceState} state */
    set(state: import("./protocol.js").PresenceState): Promise<void>;
    /** @param {boolean} typing */
    typing(typing: boolean): Promise<void>;
    #private;
}
