/** Whether one is at the screen, and whether one types, as others are told. */

export class Presence {
  #request;

  /** @param {(request: import("./protocol.js").ClientRequest) => Promise<unknown>} request */
  constructor(request) {
    this.#request = request;
  }

  /** @param {import("./protocol.js").PresenceState} state */
  async set(state) {
    await this.#request({ type: "presence", state });
  }

  /** @param {boolean} typing */
  async typing(typing) {
    await this.#request({ type: "presence", typing });
  }
}
