/** Waiting for conditions, and figures. */

const LOOK_AGAIN_MS = 50;

/**
 * Waits until a condition is true (or a promise of it) and returns what it was; fails at the deadline. `what` may be a
 * function that tells the state of things.
 */
export async function until(deadlineMs, what, condition) {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() >= end) {
      const words = typeof what === 'function' ? await what() : what;
      throw new Error(`waited ${deadlineMs} ms in vain for ${words}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}

/** Prints a figure in the form that the test runner collects. */
export function figure(name, value, unit) {
  console.log(`FIGURE ${name} ${value} ${unit}`);
}

/** The median of some numbers. */
export function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}
