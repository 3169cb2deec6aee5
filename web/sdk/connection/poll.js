/** Long polling: each request waits at the server until there is something to say, or for some time. */
import { HttpConnection } from "./http.js";

/** Below what proxies commonly allow a response to take, 30 s and more. */
const WAIT_MS = 25_000;

export class PollConnection extends HttpConnection {
  /**
   * @override
   * @returns {Promise<void>}
   */
  async listen() {
    while (!this.isClosed) {
      const response = await this.down(`poll?wait_ms=${WAIT_MS}`);
      this.host.heard();
      if (response.status !== 204) await this.deliver(await response.text());
    }
  }
}
