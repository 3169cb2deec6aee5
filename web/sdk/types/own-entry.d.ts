export class OwnEntry {
    /** @param {{handRaised?: boolean, attributes?: Record<string, string | null>}} change an attribute that is null goes */
    change({ handRaised, attributes }: {
        handRaised?: boolean;
        attributes?: Record<string, string | null>;
    }): void;
    /** What another session has to be told, if anything. @returns {import("./protocol.js").ClientRequest | null} */
    get request(): import("./protocol.js").ClientRequest | null;
    /**
     * The change that brings the own entry up to date, if it is not.
     * @param {import("./roster.js").RosterEntry} self as it stands in the roster
     * @param {readonly import("./publication.js").Publication[]} publications
     * @param {{name?: string, metadata?: unknown}} changes
     * @returns {import("./protocol.js").ServerEvent | null}
     */
    update(self: import("./roster.js").RosterEntry, publications: readonly import("./publication.js").Publication[], { name, metadata }: {
        name?: string;
        metadata?: unknown;
    }): import("./protocol.js").ServerEvent | null;
    #private;
}
