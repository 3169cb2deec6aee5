/**
 * When a path is taken for dead, and what to do about it. Browsers find out late: Chromium checks a stable path every
 * 2.5 s and calls it `disconnected` after 5 to 7 s. Whoever receives packets all the time knows within a second.
 *
 * Signaling is asked first, as its answer decides: a server that answers is asked for a new path (ICE restart); one
 * that doesn't is out of reach over this network, and only a fresh connection, with a rejoin, can help.
 */

/** Silence after which signaling is asked, on a path that carried packets all the time. A handover of a mobile network
 * is often shorter; the question costs one small message. */
const ASK_AFTER_MS = 700;
/** Silence after which the path counts as dead while signaling answers, and something had to come: whoever publishes
 * gets a report every second. */
const DEAD_AFTER_MS = 1_200;
/** The same for somebody who publishes nothing: all others may just have stopped, but the browser's checks are answered
 * still, every 2.5 s in Chromium and every 4 to 6 s in Firefox. */
const DEAD_AFTER_UNSURE_MS = 3_500;
const ANSWER_GAPS_BEFORE_DEATH = 1.4;
/** How much longer than the longest gap of late a silence has to be: reports come once a second. */
const GAPS_BEFORE_ASKING = 1.75;
const GAPS_BEFORE_DEATH = 2.5;
/** Between the first ICE restart that did not help and the next; it doubles. A path is found within a second or not at all. */
const RESTART_BASE_MS = 1_500;
const RESTART_CAP_MS = 6_000;
/** After this long without media a fresh transport is tried, though signaling answers. */
const GIVE_UP_AFTER_MS = 20_000;

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
export function isTroubled({ isBroken, hasMoved, silentMs, usualGapMs }) {
  return isBroken || hasMoved || (usualGapMs !== null && silentMs >= Math.max(ASK_AFTER_MS, usualGapMs * GAPS_BEFORE_ASKING));
}

/**
 * Whether the path is dead, as far as anybody can know.
 * @param {PathView} view
 */
export function isDead({ isBroken, hasMoved, isPublishing, answerGapMs, silentMs, usualGapMs }) {
  const unsure = answerGapMs === null ? Number.POSITIVE_INFINITY : Math.max(DEAD_AFTER_UNSURE_MS, answerGapMs * ANSWER_GAPS_BEFORE_DEATH);
  const least = isPublishing ? DEAD_AFTER_MS : unsure;
  return isBroken || hasMoved || (usualGapMs !== null && silentMs >= Math.max(least, usualGapMs * GAPS_BEFORE_DEATH));
}

/**
 * What to do now.
 * @param {PathView} view
 * @returns {"nothing" | "ask" | "restart" | "give_up"}
 */
export function nextStep(view) {
  const { now, troubledSince, answeredAt, restarts, restartedAt } = view;
  if (troubledSince === null) return "nothing";
  const isDue = isDead(view) && (restarts === 0 || now - restartedAt >= restartInterval(restarts));
  const isAnswered = answeredAt !== null && answeredAt >= (restarts > 0 ? restartedAt : troubledSince);
  if (!isAnswered) return restarts === 0 || isDue ? "ask" : "nothing";
  if (!isDue) return "nothing";
  return now - troubledSince >= GIVE_UP_AFTER_MS ? "give_up" : "restart";
}

/**
 * How long an ICE restart may take before the next.
 * @param {number} restarts made so far, from 1
 */
export function restartInterval(restarts) {
  return Math.min(RESTART_CAP_MS, RESTART_BASE_MS * 2 ** Math.min(restarts - 1, 10));
}

/** The shortest time in which signaling must answer: one lost packet is sent again within it. */
const ANSWER_LEAST_MS = 800;
/** The same when nothing but a hint speaks against the network, or nothing is known of its delay. */
const ANSWER_HINTED_MS = 2_000;

/**
 * How long signaling may take to answer before it counts as out of reach.
 * @param {number | undefined} rttMs as measured last
 * @param {boolean} isSilent whether media is silent too
 */
export function answerTimeout(rttMs, isSilent) {
  const least = isSilent && rttMs !== undefined ? ANSWER_LEAST_MS : ANSWER_HINTED_MS;
  return Math.max(least, 300 + 4 * (rttMs ?? 0));
}
