/**
 * @typedef {{mimeType: string, sdpFmtpLine?: string, clockRate: number, channels?: number}} Codec
 */
/**
 * The preference list for one section, or an empty list to leave the browser's own.
 * @param {readonly Codec[]} available from `getCapabilities(kind).codecs`
 * @param {"audio" | "video"} kind
 * @param {string} [only] one codec's short name, such as `vp9`: that one and repair alone
 * @returns {Codec[]}
 */
export function codecPreferences(available: readonly Codec[], kind: "audio" | "video", only?: string): Codec[];
export type Codec = {
    mimeType: string;
    sdpFmtpLine?: string;
    clockRate: number;
    channels?: number;
};
