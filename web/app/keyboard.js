/** Keys of the call. Not while somebody types, and not with a modifier held. */

/**
 * @typedef {object} KeyActions
 * @property {() => void} microphone
 * @property {() => void} camera
 * @property {() => void} share
 * @property {() => void} hand
 * @property {(panel: "chat" | "people" | null) => void} panel opens or closes that one; null closes any
 * @property {(isHeld: boolean) => void} talk
 */

/**
 * @param {KeyActions} actions
 * @returns {() => void} takes the keys away again
 */
export function bindKeys(actions) {
  const byKey = /** @type {Record<string, () => void>} */ ({ m: actions.microphone, v: actions.camera, s: actions.share, h: actions.hand, c: () => actions.panel("chat"), p: () => actions.panel("people") });
  let isTalking = false;
  const release = () => {
    if (isTalking) actions.talk(false);
    isTalking = false;
  };
  const down = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape") return actions.panel(null);
    const target = /** @type {Element | null} */ (event.target instanceof Element ? event.target : null);
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || target?.closest("input, textarea, select")) return;
    if (event.key === " " && !target?.closest("button, a, summary")) {
      event.preventDefault();
      if (!event.repeat && !isTalking) {
        isTalking = true;
        actions.talk(true);
      }
      return;
    }
    const action = event.repeat ? undefined : byKey[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  };
  const up = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === " ") release();
  };
  addEventListener("keydown", down);
  addEventListener("keyup", up);
  addEventListener("blur", release);
  return () => {
    removeEventListener("keydown", down);
    removeEventListener("keyup", up);
    removeEventListener("blur", release);
  };
}
