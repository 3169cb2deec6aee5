/**
 * Numbers and times as short words. A number that isn't known is a dash, never a zero.
 */

const UNKNOWN = "–";
const STEPS = /** @type {const} */ ([[1e9, "G"], [1e6, "M"], [1e3, "k"]]);

/**
 * Three digits that matter: `0.25`, `7.4`, `128`, `9.6 k`, `1.25 M`.
 * @param {number | null | undefined} value
 * @returns {{number: string, prefix: string}}
 */
export function short(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return { number: UNKNOWN, prefix: "" };
  // What would be rounded to a thousand belongs to the next step.
  const step = STEPS.find(([size]) => Math.abs(value) >= size * 0.9995);
  const scaled = step ? value / step[0] : value;
  return { number: digits(scaled), prefix: step?.[1] ?? "" };
}

/** @param {number} value */
function digits(value) {
  const size = Math.abs(value);
  if (size >= 99.95 || Number.isInteger(value)) return value.toFixed(0);
  return trim(size >= 9.995 ? value.toFixed(1) : value.toFixed(2));
}

/** @param {string} text a decimal fraction */
const trim = (text) => String(Number(text));

/** @param {number | null | undefined} value a whole number of things, such as rooms */
export function count(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  return Math.abs(value) < 100_000 ? String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, " ") : withUnit(value, "");
}

/**
 * @param {number | null | undefined} value
 * @param {string} unit such as `bit/s`
 */
export function withUnit(value, unit) {
  const { number, prefix } = short(value);
  return number === UNKNOWN ? number : `${number}${prefix || unit ? " " : ""}${prefix}${unit}`;
}

/** @param {number | null | undefined} value a rate */
export const perSecond = (value) => withUnit(value, "/s");

/** @param {number | null | undefined} value bits a second */
export const bitrate = (value) => withUnit(value, "bit/s");

/** @param {number | null | undefined} fraction of one */
export function percent(fraction) {
  if (fraction === null || fraction === undefined || !Number.isFinite(fraction)) return UNKNOWN;
  if (fraction === 0) return "0 %";
  const value = fraction * 100;
  return value < 0.01 ? "< 0.01 %" : `${trim(value >= 9.95 ? value.toFixed(0) : value.toFixed(value >= 0.995 ? 1 : 2))} %`;
}

/**
 * The two largest units that matter: `42 s`, `7 min`, `2 h 5 min`, `3 d 4 h`.
 * @param {number | null | undefined} ms
 */
export function duration(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return UNKNOWN;
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${hours / 24} d`;
}

/** @param {number} atMs since 1970 */
export function clock(atMs) {
  const at = new Date(atMs);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
}

/**
 * @param {number} many
 * @param {string} one such as `participant`
 */
export const plural = (many, one) => `${count(many)} ${one}${many === 1 ? "" : "s"}`;
