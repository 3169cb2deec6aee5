/** What happened on the way to media. Fetched when somebody asks. */
import { httpUrl } from "./url.js";

/**
 * @param {import("./platform.js").Platform} platform
 * @param {string | URL} url of the server
 * @param {{session: string, secret: string}} ticket of the join
 * @returns {Promise<import("./join-options.js").Timeline | null>} null if the server can't tell
 */
export async function timelineOf(platform, url, { session, secret }) {
  const response = await platform.fetch(httpUrl(url, `timelines/${session}`), { headers: { authorization: `Bearer ${secret}` } }).catch(() => null);
  return response?.ok ? response.json() : null;
}
