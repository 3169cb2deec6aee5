/** The topic. */
export const FILE_TOPIC: "patchbay.files";
/**
 * @typedef {object} FileHost
 * @property {() => import("./topic.js").Topic} topic
 * @property {(callback: () => void, ms: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 */
/** `progress`: how far it is. */
export class ProgressEvent extends Event {
    /**
     * @param {number} transferred bytes so far
     * @param {number} size bytes in all
     */
    constructor(transferred: number, size: number);
    transferred: number;
    size: number;
}
/** `offer`: somebody wants to send something. */
export class OfferEvent extends Event {
    /** @param {IncomingFile} file */
    constructor(file: IncomingFile);
    file: IncomingFile;
}
/** Something on its way to somebody. */
export class OutgoingFile extends Transfer {
    /**
     * @param {FileHost} host
     * @param {number} peer
     * @param {number} id
     * @param {Blob} content
     * @param {string} name
     */
    constructor(host: FileHost, peer: number, id: number, content: Blob, name: string);
    /**
     * The receiver takes bytes up to here.
     * @param {number} received what it has
     */
    allow(received: number): void;
    #private;
}
/** Something that somebody offers, or is on its way from there. */
export class IncomingFile extends Transfer {
    /**
     * Takes it, piece by piece: the sender is asked for more as it is read.
     * @returns {ReadableStream<Uint8Array>}
     */
    stream(): ReadableStream<Uint8Array>;
    /** Takes it as a whole. @returns {Promise<Blob>} */
    blob(): Promise<Blob>;
    /** Does not take it. */
    refuse(): void;
    /** @param {Uint8Array} chunk */
    receive(chunk: Uint8Array): void;
    #private;
}
/** `room.files`: sends, and says `offer` when somebody sends. */
export class Files extends EventTarget {
    /** @param {FileHost} host */
    constructor(host: FileHost);
    /**
     * Offers something to somebody.
     * @param {Blob | Uint8Array<ArrayBuffer> | ArrayBuffer} content
     * @param {{to: number, name?: string, type?: string, signal?: AbortSignal}} options `to`: the receiver's number in the roster
     * @returns {OutgoingFile}
     */
    send(content: Blob | Uint8Array<ArrayBuffer> | ArrayBuffer, { to, name, type, signal }: {
        to: number;
        name?: string;
        type?: string;
        signal?: AbortSignal;
    }): OutgoingFile;
    /** Somebody is gone. For the SDK itself. @param {number} participant */
    forget(participant: number): void;
    #private;
}
export type FileHost = {
    topic: () => import("./topic.js").Topic;
    setTimeout: (callback: () => void, ms: number) => any;
    clearTimeout: (timer: any) => void;
};
/** What both ends have in common: an end that comes once, and patience. */
declare class Transfer extends EventTarget {
    /**
     * @param {FileHost} host
     * @param {number} peer the other's number
     * @param {number} id chosen by the sender
     * @param {{name: string, size: number, type: string}} description
     */
    constructor(host: FileHost, peer: number, id: number, { name, size, type }: {
        name: string;
        size: number;
        type: string;
    });
    isOver: boolean;
    transferred: number;
    /** Resolves when all has arrived, rejects when it won't. @type {Promise<any>} */
    done: Promise<any>;
    peer: number;
    id: number;
    name: string;
    size: number;
    type: string;
    /** Ends it, at both ends. */
    cancel(): void;
    /**
     * @param {number} kind
     * @param {Uint8Array} body
     */
    tell(kind: number, body: Uint8Array): void;
    /** A sign of life. */
    stir(): void;
    /** @param {number} bytes */
    progress(bytes: number): void;
    /**
     * @param {PatchbayError | null} error
     * @param {unknown} [value]
     */
    end(error: PatchbayError | null, value?: unknown): void;
    #private;
}
import { PatchbayError } from "../errors.js";
export {};
