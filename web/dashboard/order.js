/**
 * Which rooms are shown, and in which order.
 */

/**
 * @typedef {object} RoomRow
 * @property {string} name
 * @property {number | null} participants
 * @property {number | null} waiting
 * @property {number | null} tracks
 * @property {string} node
 * @property {boolean} locked
 * @property {boolean} waitingRoom
 * @property {number | null} maxParticipants
 * @property {number | null} createdAtMs
 */

/** @typedef {"name" | "participants" | "tracks" | "node" | "createdAtMs"} SortKey */
/** @typedef {{key: SortKey, descending: boolean}} Sorting */

const byText = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/**
 * @param {any} item as the API has it
 * @returns {RoomRow}
 */
export function readRoom(item) {
  const info = item.info ?? item.room_info ?? item;
  return {
    name: String(item.room ?? item.name),
    participants: sizeOf(item.participants),
    waiting: sizeOf(item.waiting),
    tracks: sizeOf(item.tracks),
    node: typeof item.node === "string" ? item.node : "",
    locked: info.locked === true,
    waitingRoom: info.waiting_room === true,
    maxParticipants: sizeOf(info.max_participants),
    createdAtMs: sizeOf(info.created_at_ms),
  };
}

/** @param {unknown} value a number, or a list that has one */
function sizeOf(value) {
  if (Array.isArray(value)) return value.length;
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/**
 * Rooms that match, in order; what isn't known comes last either way, and equals are in order of their names.
 * @param {Iterable<RoomRow>} rooms
 * @param {Sorting} sorting
 * @param {string} filter words that all have to be in the room's name, its node, or its state
 */
export function arrange(rooms, { key, descending }, filter) {
  const words = filter.toLowerCase().split(/\s+/).filter((word) => word !== "");
  const found = [...rooms].filter((room) => {
    const text = `${room.name} ${room.node}${room.locked ? " locked" : ""}${room.waitingRoom ? " waiting" : ""}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const sign = descending ? -1 : 1;
  return found.sort((a, b) => {
    const [left, right] = [a[key], b[key]];
    if (left === null || right === null) return left === right ? byText.compare(a.name, b.name) : left === null ? 1 : -1;
    const order = typeof left === "number" && typeof right === "number" ? left - right : byText.compare(String(left), String(right));
    return order === 0 ? byText.compare(a.name, b.name) : sign * order;
  });
}

/**
 * What a click on a column's head does: numbers begin with the most, names with A.
 * @param {Sorting} sorting
 * @param {SortKey} key
 * @returns {Sorting}
 */
export function sortBy(sorting, key) {
  if (sorting.key === key) return { key, descending: !sorting.descending };
  return { key, descending: key === "participants" || key === "tracks" || key === "createdAtMs" };
}
