/**
 * Rates out of totals, and what they were in the last ten minutes.
 */

/** How far back graphs reach. */
export const SPAN_MS = 600_000;
/** A longer silence between two values is a gap in the graph. */
const GAP_MS = 90_000;

/**
 * Makes a rate of a number that only grows, over a window as long as it needs to be steady. A total that fell was counted
 * from zero again: by another process, so what is between is unknown.
 */
export class Meter {
  /** @type {{at: number, total: number}[]} the first is the one before the window */
  #samples = [];
  #windowMs;

  /** @param {number} windowMs */
  constructor(windowMs) {
    this.#windowMs = windowMs;
  }

  /**
   * @param {number} at milliseconds, by a clock that belongs to the total
   * @param {number | null | undefined} total
   * @returns {number | null} per second; unknown after the first value
   */
  push(at, total) {
    const samples = this.#samples;
    if (typeof total !== "number" || !Number.isFinite(total)) {
      this.clear();
      return null;
    }
    const last = samples.at(-1);
    if (last && (total < last.total || at < last.at)) this.clear();
    if (last?.at === at && samples.length > 0) samples.pop();
    samples.push({ at, total });
    while (samples.length > 2 && samples[1].at <= at - this.#windowMs) samples.shift();
    const first = samples[0];
    return at > first.at ? ((total - first.total) * 1000) / (at - first.at) : null;
  }

  /** Forgets what was: the next value is a beginning. */
  clear() {
    this.#samples.length = 0;
  }
}

/** Meters by name, for totals that belong together: when one of them fell, all of them began anew. */
export class Meters {
  /** @type {Map<string, Meter>} */
  #meters = new Map();
  /** @type {Record<string, number>} */
  #last = {};
  #windowMs;

  /** @param {number} windowMs */
  constructor(windowMs) {
    this.#windowMs = windowMs;
  }

  /**
   * @param {number} at
   * @param {Record<string, number | null>} totals
   * @returns {Record<string, number | null>} per second
   */
  push(at, totals) {
    const known = /** @type {[string, number][]} */ (Object.entries(totals).filter(([, total]) => total !== null));
    if (known.some(([name, total]) => total < (this.#last[name] ?? 0))) this.clear();
    this.#last = Object.fromEntries(known);
    return Object.fromEntries(Object.entries(totals).map(([name, total]) => {
      const meter = this.#meters.get(name) ?? new Meter(this.#windowMs);
      this.#meters.set(name, meter);
      return [name, meter.push(at, total)];
    }));
  }

  clear() {
    this.#meters.clear();
    this.#last = {};
  }
}

/** Values of the last ten minutes. */
export class Series {
  /** @type {{at: number, value: number | null}[]} */
  #points = [];

  /**
   * @param {number} at milliseconds by this page's clock
   * @param {number | null} value `null`: not known, a gap
   */
  push(at, value) {
    this.#points.push({ at, value });
    while (this.#points[0].at < at - SPAN_MS) this.#points.shift();
  }

  /** @returns {{at: number, value: number}[][]} the values without gaps, oldest first */
  runs() {
    /** @type {{at: number, value: number}[][]} */
    const runs = [];
    let before = -Infinity;
    for (const { at, value } of this.#points) {
      if (value !== null) {
        if (at - before > GAP_MS) runs.push([]);
        /** @type {{at: number, value: number}[]} */ (runs.at(-1)).push({ at, value });
        before = at;
      } else {
        before = -Infinity;
      }
    }
    return runs;
  }

  /**
   * The value nearest to some moment.
   * @param {number} at
   * @returns {{at: number, value: number} | null}
   */
  near(at) {
    let best = null;
    for (const point of this.#points) {
      if (point.value === null) continue;
      if (!best || Math.abs(point.at - at) < Math.abs(best.at - at)) best = { at: point.at, value: point.value };
    }
    return best;
  }

  /** When the oldest value was, known or not. */
  oldest() {
    return this.#points[0]?.at ?? null;
  }

  /** @returns {{lowest: number, highest: number} | null} */
  bounds() {
    const values = this.#points.map(({ value }) => value).filter((value) => value !== null);
    return values.length > 0 ? { lowest: Math.min(...values), highest: Math.max(...values) } : null;
  }
}
