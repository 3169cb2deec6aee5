/**
 * @param {object} step
 * @param {"connecting" | "connected" | "reconnecting" | "closed"} step.state
 * @param {import("./connection.js").ConnectionKind} [step.transport]
 * @param {number} [step.retryInMs] until the next try
 * @param {boolean} [step.isMediaFlowing]
 * @returns {string}
 */
export function connectionWords({ state, transport, retryInMs, isMediaFlowing }: {
    state: "connecting" | "connected" | "reconnecting" | "closed";
    transport?: import("./connection.js").ConnectionKind | undefined;
    retryInMs?: number | undefined;
    isMediaFlowing?: boolean | undefined;
}): string;
