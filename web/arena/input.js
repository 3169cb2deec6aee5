/** Where somebody wants to go: keys, or a stick under the thumb. */

const KEYS = /** @type {Record<string, [number, number]>} */ ({
  KeyW: [0, -1], KeyA: [-1, 0], KeyS: [0, 1], KeyD: [1, 0], ArrowUp: [0, -1], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowRight: [1, 0],
});
/** Pixels from the middle of the stick to its edge. */
const REACH = 56;
/** A touch shorter than this that hardly moved is a tap. */
const TAP = { ms: 250, pixels: 10 };

export class Input {
  #keys = new Set();
  /** @type {{id: number, x: number, y: number, dx: number, dy: number, at: number} | null} */
  #stick = null;
  #stop = new AbortController();

  /**
   * @param {HTMLElement} surface where a finger or a mouse may be put
   * @param {{onRing: () => void, onStick: (stick: {x: number, y: number, dx: number, dy: number} | null) => void}} tell
   */
  constructor(surface, { onRing, onStick }) {
    const { signal } = this.#stop;
    addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey || event.target instanceof HTMLInputElement) return;
      if (KEYS[event.code]) this.#keys.add(event.code);
      else if (event.code === "Space" && !event.repeat && !(event.target instanceof HTMLButtonElement)) onRing();
      else return;
      event.preventDefault();
    }, { signal });
    addEventListener("keyup", (event) => this.#keys.delete(event.code), { signal });
    addEventListener("blur", () => this.#keys.clear(), { signal });
    surface.addEventListener("pointerdown", (event) => {
      if (this.#stick) return;
      surface.setPointerCapture(event.pointerId);
      this.#stick = { id: event.pointerId, x: event.clientX, y: event.clientY, dx: 0, dy: 0, at: event.timeStamp };
    }, { signal });
    surface.addEventListener("pointermove", (event) => {
      if (this.#stick?.id !== event.pointerId) return;
      const [dx, dy] = [event.clientX - this.#stick.x, event.clientY - this.#stick.y];
      const length = Math.max(1, Math.hypot(dx, dy) / REACH);
      Object.assign(this.#stick, { dx: dx / length, dy: dy / length });
      onStick(this.#stick);
    }, { signal });
    const release = (/** @type {PointerEvent} */ event) => {
      if (this.#stick?.id !== event.pointerId) return;
      const { dx, dy, at } = this.#stick;
      if (event.type === "pointerup" && event.timeStamp - at < TAP.ms && Math.hypot(dx, dy) < TAP.pixels) onRing();
      this.#stick = null;
      onStick(null);
    };
    surface.addEventListener("pointerup", release, { signal });
    surface.addEventListener("pointercancel", release, { signal });
  }

  /** A direction of length 1 at most. */
  get wish() {
    let [x, y] = this.#stick ? [this.#stick.dx / REACH, this.#stick.dy / REACH] : [0, 0];
    for (const code of this.#keys) {
      x += KEYS[code][0];
      y += KEYS[code][1];
    }
    const length = Math.max(1, Math.hypot(x, y));
    return { x: x / length, y: y / length };
  }

  close() {
    this.#stop.abort();
  }
}
