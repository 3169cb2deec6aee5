/**
 * @param {import("./platform.js").Platform} platform
 * @param {string | URL} url of the server
 * @param {{session: string, secret: string}} ticket of the join
 * @returns {Promise<import("./join-options.js").Timeline | null>} null if the server can't tell
 */
export function timelineOf(platform: import("./platform.js").Platform, url: string | URL, { session, secret }: {
    session: string;
    secret: string;
}): Promise<import("./join-options.js").Timeline | null>;
