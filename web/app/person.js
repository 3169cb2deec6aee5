/** What stands for a person who shows no picture: initials, and a colour that stays theirs. */

/**
 * One or two letters. Graphemes, not code units, so that emoji and combined letters stay whole.
 * @param {string} name
 * @returns {string}
 */
export function initials(name) {
  const words = name.trim().split(/[\s._-]+/u).filter((word) => /[\p{L}\p{N}\p{Emoji_Presentation}]/u.test(word));
  const chosen = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  const letters = chosen.map((word) => firstGrapheme(word.replace(/^[^\p{L}\p{N}\p{Emoji_Presentation}]+/u, "")));
  return letters.join("").toLocaleUpperCase() || "?";
}

/**
 * A hue from 0 to 359 that belongs to an identity.
 * @param {string} identity
 * @returns {number}
 */
export function hueOf(identity) {
  let hash = 2166136261;
  for (const character of identity) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 16777619) >>> 0;
  // The golden angle keeps neighbours apart.
  return Math.round((hash % 997) * 137.508) % 360;
}

/** @param {string} text */
function firstGrapheme(text) {
  if (typeof Intl !== "undefined" && "Segmenter" in Intl) {
    for (const { segment } of new Intl.Segmenter().segment(text)) return segment;
  }
  return [...text][0] ?? "";
}
