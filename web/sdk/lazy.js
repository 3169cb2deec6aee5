/**
 * An object whose module is fetched when one of its methods is first called. Every method gives a promise.
 * @template {object} T
 * @param {() => Promise<T>} load
 * @returns {T}
 */
export function lazy(load) {
  /** @type {Promise<any> | null} */
  let loaded = null;
  return /** @type {T} */ (new Proxy({}, {
    // An object with a `then` would be taken for a promise.
    get: (_, name) => (name === "then" || typeof name === "symbol" ? undefined : async (/** @type {unknown[]} */ ...rest) => {
      loaded ??= load().catch((error) => {
        loaded = null;
        throw error;
      });
      return (await loaded)[name](...rest);
    }),
  }));
}
