/** Names for rooms: easy to say, hard to guess by accident. */

const FIRST = ["amber", "brisk", "calm", "clear", "coral", "dusky", "early", "fern", "gentle", "golden", "hazel", "ivory", "jade", "kind", "lively", "lunar", "mellow", "misty", "noble", "olive", "quiet", "rapid", "russet", "silver", "sunny", "tidal", "velvet", "warm", "wild", "windy"];
const SECOND = ["acorn", "alder", "badger", "beacon", "birch", "brook", "canyon", "cedar", "comet", "cove", "falcon", "garden", "harbor", "heron", "island", "lantern", "maple", "meadow", "orchard", "otter", "pebble", "pine", "river", "robin", "sparrow", "summit", "thicket", "valley", "willow", "wren"];

/**
 * A readable name, such as `calm-otter-417`.
 * @param {() => number} [random] in [0, 1)
 */
export function proposeRoomName(random = Math.random) {
  const pick = (/** @type {readonly string[]} */ words) => words[Math.floor(random() * words.length)];
  return `${pick(FIRST)}-${pick(SECOND)}-${100 + Math.floor(random() * 900)}`;
}

/**
 * Whether the server takes this as a room's name.
 * @param {string} text
 */
export function isRoomName(text) {
  return /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/.test(text);
}

/**
 * What a person typed, as a room's name.
 * @param {string} text
 */
export function toRoomName(text) {
  return text.trim().normalize("NFKD").replace(/\p{M}/gu, "").replace(/\s+/g, "-").replace(/[^A-Za-z0-9._-]/g, "").replace(/^\.+/, "").slice(0, 64);
}

/**
 * The room that a path names, if it does.
 * @param {string} path
 * @returns {string | null}
 */
export function roomOfPath(path) {
  const match = /^\/r\/([^/]+)\/?$/.exec(path);
  if (!match) return null;
  try {
    const name = decodeURIComponent(match[1]);
    return isRoomName(name) ? name : toRoomName(name) || null;
  } catch {
    return null;
  }
}
