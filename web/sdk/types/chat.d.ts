/**
 * @typedef {Readonly<{number: number, identity: string, name: string, text: string, sentAt: Date}>} ChatLine `number` grows
 *   with every line of the room; `text` is plain text, never markup
 *
 * @typedef {object} ChatHost what the chat needs of its room
 * @property {(request: import("./protocol.js").ClientRequest) => Promise<import("./protocol.js").Reply>} request
 * @property {() => Promise<void>} whenJoined resolves when there is a session to talk to; rejects when there will be none
 * @property {import("./participants.js").Participants} participants
 * @property {(event: Event) => void} tell
 * @property {() => number} random
 */
export class Chat {
    /** @param {ChatHost} host */
    constructor(host: ChatHost);
    /** The newest lines, oldest first. @returns {readonly ChatLine[]} */
    get lines(): readonly ChatLine[];
    /**
     * Sends a line. It arrives once, however often it has to be sent.
     * @param {string} text
     */
    send(text: string): Promise<void>;
    /**
     * Older lines, which are not kept at hand.
     * @param {{before?: number, limit?: number}} options `before`: that line's number
     * @returns {Promise<{lines: ChatLine[], more: boolean}>}
     */
    history(options: {
        before?: number;
        limit?: number;
    }): Promise<{
        lines: ChatLine[];
        more: boolean;
    }>;
    /**
     * The history that comes with a join.
     * @param {readonly import("./protocol.js").ChatLine[]} lines
     * @param {boolean} isFirst whether nobody has seen any yet, so that none is news
     */
    takeHistory(lines: readonly import("./protocol.js").ChatLine[], isFirst: boolean): void;
    /**
     * @param {import("./protocol.js").ChatLine} wire
     * @param {boolean} [isSilent]
     */
    take(wire: import("./protocol.js").ChatLine, isSilent?: boolean): void;
    #private;
}
/**
 * `number` grows
 *   with every line of the room; `text` is plain text, never markup
 */
export type ChatLine = Readonly<{
    number: number;
    identity: string;
    name: string;
    text: string;
    sentAt: Date;
}>;
/**
 * what the chat needs of its room
 */
export type ChatHost = {
    request: (request: import("./protocol.js").ClientRequest) => Promise<import("./protocol.js").Reply>;
    /**
     * resolves when there is a session to talk to; rejects when there will be none
     */
    whenJoined: () => Promise<void>;
    participants: import("./participants.js").Participants;
    tell: (event: Event) => void;
    random: () => number;
};
