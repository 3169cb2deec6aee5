/** Plays the voices of a call: one audio element for each audio slot. */

export class Sound {
  /** @type {HTMLAudioElement[]} */
  #elements = [];
  #sink = "";
  #onBlocked;

  /** @param {(isBlocked: boolean) => void} onBlocked told when the browser wants a click first, and when it no longer does */
  constructor(onBlocked) {
    this.#onBlocked = onBlocked;
  }

  /** @param {MediaStream} stream */
  add(stream) {
    const element = new Audio();
    element.autoplay = true;
    element.srcObject = stream;
    this.#elements.push(element);
    if (this.#sink) this.#route(element);
    this.#play(element);
  }

  /** After a click. */
  async resume() {
    this.#onBlocked(false);
    await Promise.all(this.#elements.map((element) => this.#play(element)));
  }

  /** @param {string} id of an output device */
  setSink(id) {
    this.#sink = id;
    for (const element of this.#elements) this.#route(element);
  }

  close() {
    for (const element of this.#elements) element.srcObject = null;
    this.#elements = [];
  }

  /** @param {HTMLAudioElement} element */
  async #play(element) {
    try {
      await element.play();
    } catch (error) {
      if (/** @type {{name?: string}} */ (error)?.name === "NotAllowedError") this.#onBlocked(true);
    }
  }

  /** @param {HTMLAudioElement} element */
  #route(element) {
    element.setSinkId?.(this.#sink).catch(() => {});
  }
}
