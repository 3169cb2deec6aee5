/** Types alone: what a room is joined with, and what is known of a join. Nobody loads this. */

/**
 * @typedef {object} JoinOptions
 * @property {string} room the room's name
 * @property {string} [token] a JWT; not needed where the server runs open
 * @property {string} [name] the name to show
 * @property {string} [identity] unique in the room; the server mints one when it is absent
 * @property {unknown} [metadata] anything others shall see
 * @property {{track: MediaStreamTrack | null, source: import("./protocol.js").Source, muted?: boolean, codec?: string}[]} [tracks] published with the join
 * @property {{audio?: number, video?: number}} [slots] how many are negotiated with the join; 4 and 9 unless told. Audio
 *   slot n follows the n-th loudest voice until it is told otherwise; video slots are empty.
 * @property {boolean} [topics] whether topics, calls and files can be used: yes, unless told. A room without them loads less.
 * @property {import("./signaling.js").ConnectionMemory} [memory] what connection worked last: read when one is made, written
 *   when one works. Whoever keeps it between visits saves the next one a detour.
 * @property {(event: import("./events.js").ConnectionStateEvent) => void} [onConnectionState] hears `connectionstate` from the very first step
 * @property {(position: number) => void} [onWaiting] the join waits for a moderator, at this place
 * @property {AbortSignal} [signal] ends the joining
 * @property {Partial<import("./platform.js").Platform>} [platform] stands in for the browser's own, in tests
 *
 * @typedef {object} Timeline
 * @property {boolean} connected
 * @property {{at_ms: number, step: string, words: string}[]} steps
 * @property {{kind: string, detail: string}[]} troubles
 * @property {{cause: string, words: string, remedy: string} | null} diagnosis
 */
export {};
