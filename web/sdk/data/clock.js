/**
 * The server's clock, as seen from here: round trips are measured, and the shortest of late tells the difference best, as
 * whatever makes a round trip longer is rarely the same both ways.
 */

/** How many of the last measurements are looked at. Clocks drift apart by about a millisecond a minute. */
const KEPT = 8;

export class ServerClock {
  /** @type {{rttMs: number, offsetMs: number}[]} */
  #samples = [];
  #now;

  /** @param {() => number} now milliseconds, monotonic */
  constructor(now) {
    this.#now = now;
  }

  /**
   * A measurement.
   * @param {number} askedAt when the question was sent, by the own clock
   * @param {number} time what the server answered, in microseconds since the Unix epoch
   */
  add(askedAt, time) {
    const rttMs = this.#now() - askedAt;
    this.#samples.push({ rttMs, offsetMs: time / 1_000 - askedAt - rttMs / 2 });
    if (this.#samples.length > KEPT) this.#samples.shift();
  }

  /** A time that was told without a question: worth something only until a measurement is there. @param {number} time */
  hint(time) {
    if (this.#samples.length === 0) this.#samples.push({ rttMs: Number.POSITIVE_INFINITY, offsetMs: time / 1_000 - this.#now() });
  }

  /** Whether a round trip was measured. */
  get isSynchronised() {
    return this.rttMs !== null;
  }

  /** Milliseconds to the server and back: the shortest of late. @returns {number | null} */
  get rttMs() {
    const best = this.#best;
    return best && Number.isFinite(best.rttMs) ? best.rttMs : null;
  }

  /** Server time in milliseconds since the Unix epoch; null before anything is known. @returns {number | null} */
  now() {
    const best = this.#best;
    return best ? this.#now() + best.offsetMs : null;
  }

  get #best() {
    return this.#samples.reduce((best, sample) => (best && best.rttMs <= sample.rttMs ? best : sample), /** @type {{rttMs: number, offsetMs: number} | null} */ (null));
  }
}
