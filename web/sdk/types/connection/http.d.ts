export class HttpConnection {
    /**
     * @param {import("./websocket.js").ConnectionOptions} options
     * @param {import("./websocket.js").ConnectionHost} host
     */
    constructor(options: import("./websocket.js").ConnectionOptions, host: import("./websocket.js").ConnectionHost);
    host: import("./websocket.js").ConnectionHost;
    platform: import("../platform.js").Platform;
    /** Whether nothing is to be delivered any more. */
    get isClosed(): boolean;
    /** @param {string} text */
    send(text: string): void;
    close(): void;
    /** Brings messages down until the connection ends. @returns {Promise<void>} */
    listen(): Promise<void>;
    /**
     * Asks for messages.
     * @param {string} path
     */
    down(path: string): Promise<Response>;
    /** @param {string} text one message, or an array of them */
    deliver(text: string): Promise<void>;
    #private;
}
