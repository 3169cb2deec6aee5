export class ServerClock {
    /** @param {() => number} now milliseconds, monotonic */
    constructor(now: () => number);
    /**
     * A measurement.
     * @param {number} askedAt when the question was sent, by the own clock
     * @param {number} time what the server answered, in microseconds since the Unix epoch
     */
    add(askedAt: number, time: number): void;
    /** A time that was told without a question: worth something only until a measurement is there. @param {number} time */
    hint(time: number): void;
    /** Whether a round trip was measured. */
    get isSynchronised(): boolean;
    /** Milliseconds to the server and back: the shortest of late. @returns {number | null} */
    get rttMs(): number | null;
    /** Server time in milliseconds since the Unix epoch; null before anything is known. @returns {number | null} */
    now(): number | null;
    #private;
}
