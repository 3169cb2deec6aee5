export type JoinOptions = {
    /**
     * the room's name
     */
    room: string;
    /**
     * a JWT; not needed where the server runs open
     */
    token?: string | undefined;
    /**
     * the name to show
     */
    name?: string | undefined;
    /**
     * unique in the room; the server mints one when it is absent
     */
    identity?: string | undefined;
    /**
     * anything others shall see
     */
    metadata?: unknown;
    /**
     * published with the join
     */
    tracks?: {
        track: MediaStreamTrack | null;
        source: import("./protocol.js").Source;
        muted?: boolean;
        codec?: string;
    }[] | undefined;
    /**
     * how many are negotiated with the join; 4 and 9 unless told. Audio
     * slot n follows the n-th loudest voice until it is told otherwise; video slots are empty.
     */
    slots?: {
        audio?: number;
        video?: number;
    } | undefined;
    /**
     * whether topics, calls and files can be used: yes, unless told. A room without them loads less.
     */
    topics?: boolean | undefined;
    /**
     * what connection worked last: read when one is made, written
     * when one works. Whoever keeps it between visits saves the next one a detour.
     */
    memory?: import("./signaling.js").ConnectionMemory | undefined;
    /**
     * hears `connectionstate` from the very first step
     */
    onConnectionState?: ((event: import("./events.js").ConnectionStateEvent) => void) | undefined;
    /**
     * the join waits for a moderator, at this place
     */
    onWaiting?: ((position: number) => void) | undefined;
    /**
     * ends the joining
     */
    signal?: AbortSignal | undefined;
    /**
     * stands in for the browser's own, in tests
     */
    platform?: Partial<import("./platform.js").Platform> | undefined;
};
export type Timeline = {
    connected: boolean;
    steps: {
        at_ms: number;
        step: string;
        words: string;
    }[];
    troubles: {
        kind: string;
        detail: string;
    }[];
    diagnosis: {
        cause: string;
        words: string;
        remedy: string;
    } | null;
};
