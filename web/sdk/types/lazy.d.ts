/**
 * An object whose module is fetched when one of its methods is first called. Every method gives a promise.
 * @template {object} T
 * @param {() => Promise<T>} load
 * @returns {T}
 */
export function lazy<T extends object>(load: () => Promise<T>): T;
