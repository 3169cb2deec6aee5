/**
 * Somebody in a room, as the API has it.
 */

/**
 * @typedef {object} Track
 * @property {string} source
 * @property {string} kind
 * @property {boolean} muted
 */

/**
 * @typedef {object} Person
 * @property {string} identity
 * @property {string} name
 * @property {boolean} isWaiting
 * @property {boolean} isAway not at the screen
 * @property {boolean} isLost its connection is gone, and it may come back
 * @property {boolean} hasHand
 * @property {string} connection what carries its signaling
 * @property {number | null} joinedAtMs
 * @property {Track[]} tracks
 */

/**
 * @param {any} item
 * @returns {Person}
 */
export function readPerson(item) {
  const at = item.joined_at_ms;
  return {
    identity: String(item.identity),
    name: String(item.name || item.identity),
    isWaiting: item.state === "waiting" || item.waiting === true,
    isAway: item.presence === "away",
    isLost: item.connected === false,
    hasHand: item.hand_raised === true || item.hand === true || typeof item.hand_raised_at_ms === "number",
    connection: typeof item.connection === "string" ? item.connection : "",
    joinedAtMs: typeof at === "number" && at > 0 ? at : null,
    tracks: (Array.isArray(item.tracks) ? item.tracks : []).map((/** @type {any} */ track) => ({ source: String(track.source), kind: String(track.kind), muted: track.muted === true })),
  };
}

/**
 * Those who wait first, as somebody should look at them; then hands; then who came first.
 * @param {readonly Person[]} people
 */
export function arrangePeople(people) {
  const rank = (/** @type {Person} */ person) => (person.isWaiting ? 0 : person.hasHand ? 1 : 2);
  return [...people].sort((a, b) => rank(a) - rank(b) || (a.joinedAtMs ?? 0) - (b.joinedAtMs ?? 0) || a.name.localeCompare(b.name));
}
