/**
 * @typedef {object} PathView what is known about the path to the server; times in milliseconds
 * @property {number} now
 * @property {boolean} isBroken whether the browser itself says that the path is gone
 * @property {boolean} hasMoved whether the system has said that this device is on another network now
 * @property {boolean} isPublishing whether anything is sent, so that reports must come back
 * @property {number | null} answerGapMs the longest time of late between answers to the browser's checks, which come
 *   however little else does; null: not known
 * @property {number} silentMs since something was received
 * @property {number | null} usualGapMs the longest silence in the last seconds; null: nothing has come for long
 * @property {number | null} troubledSince when the trouble began, if it is there
 * @property {number | null} answeredAt when signaling last answered a question about the path
 * @property {number} restarts ICE restarts since the trouble began
 * @property {number} restartedAt when the last one was begun
 */
/**
 * Whether something is wrong: worth a question to signaling.
 * @param {PathView} view
 */
export function isTroubled({ isBroken, hasMoved, silentMs, usualGapMs }: PathView): boolean;
/**
 * Whether the path is dead, as far as anybody can know.
 * @param {PathView} view
 */
export function isDead({ isBroken, hasMoved, isPublishing, answerGapMs, silentMs, usualGapMs }: PathView): boolean;
/**
 * What to do now.
 * @param {PathView} view
 * @returns {"nothing" | "ask" | "restart" | "give_up"}
 */
export function nextStep(view: PathView): "nothing" | "ask" | "restart" | "give_up";
/**
 * How long an ICE restart may take before the next.
 * @param {number} restarts made so far, from 1
 */
export function restartInterval(restarts: number): number;
/**
 * How long signaling may take to answer before it counts as out of reach.
 * @param {number | undefined} rttMs as measured last
 * @param {boolean} isSilent whether media is silent too
 */
export function answerTimeout(rttMs: number | undefined, isSilent: boolean): number;
/**
 * what is known about the path to the server; times in milliseconds
 */
export type PathView = {
    now: number;
    /**
     * whether the browser itself says that the path is gone
     */
    isBroken: boolean;
    /**
     * whether the system has said that this device is on another network now
     */
    hasMoved: boolean;
    /**
     * whether anything is sent, so that reports must come back
     */
    isPublishing: boolean;
    /**
     * the longest time of late between answers to the browser's checks, which come
     * however little else does; null: not known
     */
    answerGapMs: number | null;
    /**
     * since something was received
     */
    silentMs: number;
    /**
     * the longest silence in the last seconds; null: nothing has come for long
     */
    usualGapMs: number | null;
    /**
     * when the trouble began, if it is there
     */
    troubledSince: number | null;
    /**
     * when signaling last answered a question about the path
     */
    answeredAt: number | null;
    /**
     * ICE restarts since the trouble began
     */
    restarts: number;
    /**
     * when the last one was begun
     */
    restartedAt: number;
};
