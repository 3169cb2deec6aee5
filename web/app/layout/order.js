/**
 * Who is on which page, and which slot shows what. Both change as little as they can: tiles that jump are worse than
 * tiles that are not in the best order.
 */

/**
 * The order of tiles. Those who are known keep their places, newcomers go last, and somebody who speaks while not on the
 * first page takes the place of whoever there has been silent the longest.
 * @param {readonly string[]} before the order until now
 * @param {readonly string[]} present everybody, in the order of arrival
 * @param {readonly string[]} speakers who speaks now, loudest first
 * @param {(key: string) => number} lastSpoke when somebody last spoke; 0 for never
 * @param {number} firstPage how many tiles the first page holds
 * @param {(key: string) => boolean} [isFixed] whose tile never leaves its place, such as one's own
 * @returns {string[]}
 */
export function orderTiles(before, present, speakers, lastSpoke, firstPage, isFixed = () => false) {
  const here = new Set(present);
  const known = new Set(before);
  const order = [...before.filter((key) => here.has(key)), ...present.filter((key) => !known.has(key))];
  if (order.length <= firstPage) return order;
  for (const speaker of speakers) {
    const from = order.indexOf(speaker);
    if (from < firstPage) continue;
    let stalest = -1;
    for (let index = 0; index < firstPage; index += 1) {
      const key = order[index];
      if (isFixed(key) || speakers.includes(key)) continue;
      if (stalest < 0 || lastSpoke(key) <= lastSpoke(order[stalest])) stalest = index;
    }
    if (stalest < 0) break;
    [order[stalest], order[from]] = [order[from], order[stalest]];
  }
  return order;
}

/**
 * Which slot shows which picture: a slot keeps what it shows for as long as that is wanted.
 * @template {object} S
 * @param {ReadonlyMap<S, string | null>} slots every slot, with what it shows now
 * @param {readonly string[]} wanted what shall be seen, most important first
 * @returns {{changes: Map<S, string | null>, missing: string[]}} `missing`: what no slot is left for
 */
export function assignSlots(slots, wanted) {
  const needed = new Set(wanted);
  /** @type {Map<S, string | null>} */
  const changes = new Map();
  /** @type {S[]} */
  const idle = [];
  for (const [slot, shown] of slots) {
    if (shown !== null && needed.delete(shown)) continue;
    idle.push(slot);
  }
  // Empty ones first: a slot that is emptied now may be wanted again in a moment.
  idle.sort((a, b) => Number(slots.get(a) !== null) - Number(slots.get(b) !== null));
  /** @type {string[]} */
  const missing = [];
  for (const key of wanted) {
    if (!needed.delete(key)) continue;
    const slot = idle.shift();
    if (slot) changes.set(slot, key);
    else missing.push(key);
  }
  for (const slot of idle) if (slots.get(slot) !== null) changes.set(slot, null);
  return { changes, missing };
}
