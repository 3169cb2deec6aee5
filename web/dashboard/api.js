/**
 * The server's API, with a token that is in no address and in no storage that outlives the tab.
 */

const TOKEN_KEY = "patchbay.dashboard.token";
/** No answer for so long is no server. */
const TIMEOUT_MS = 10_000;
/** Rooms and participants asked for at once. */
const PAGE_SIZE = 100;

/** A request that the server refused, or that didn't reach it (`status` 0). */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message
   * @param {number | null} [retryAfterMs]
   */
  constructor(status, code, message, retryAfterMs = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether another token would help. */
  get isRefusal() {
    return this.status === 401 || this.status === 403;
  }

  /** Whether there is nobody, or only a proxy, to say something about the request. */
  get isAway() {
    return this.status === 0 || this.status >= 500;
  }
}

export class Api {
  #base;
  #token;

  /**
   * @param {string} base such as `https://example.org`
   * @param {string | null} token
   */
  constructor(base, token) {
    this.#base = base;
    this.#token = token;
  }

  get hasToken() {
    return this.#token !== null;
  }

  /**
   * Whether a token's own words allow something. The server decides; this is to offer no buttons that can't work.
   * @param {string} scope
   */
  may(scope) {
    if (this.#token === null) return true;
    const scopes = scopesOf(this.#token);
    return scopes === null || scopes.includes(scope) || scopes.includes("*");
  }

  /**
   * @param {string} path from `/v1`
   * @param {{method?: string, body?: unknown, signal?: AbortSignal}} [options]
   * @returns {Promise<any>} what came as JSON, or null
   */
  async call(path, { method = "GET", body, signal } = {}) {
    const response = await this.#fetch(path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: body === undefined ? {} : { "content-type": "application/json" },
      signal: signal ? AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]) : AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await response.text().catch(() => "");
    if (text === "") return null;
    try {
      return JSON.parse(text);
    } catch {
      throw new ApiError(response.status === 200 ? 0 : response.status, "malformed", "The answer is no JSON.");
    }
  }

  /**
   * All items of a list.
   * @param {string} path
   * @param {AbortSignal} [signal]
   * @returns {Promise<any[]>}
   */
  async list(path, signal) {
    const items = [];
    let next = null;
    do {
      const query = new URLSearchParams({ limit: String(PAGE_SIZE), ...(next === null ? {} : { after: next }) });
      const page = await this.call(`${path}?${query}`, { signal });
      items.push(...(page?.items ?? []));
      next = typeof page?.next === "string" ? page.next : null;
    } while (next !== null);
    return items;
  }

  /**
   * @param {string} path
   * @param {string | null} lastId
   * @param {AbortSignal} signal
   * @returns {Promise<ReadableStream<Uint8Array>>}
   */
  async stream(path, lastId, signal) {
    const response = await this.#fetch(path, { signal, cache: "no-store", headers: { accept: "text/event-stream", ...(lastId === null ? {} : { "last-event-id": lastId }) } });
    if (!response.body) throw new ApiError(0, "no_body", "The answer has no body.");
    return response.body;
  }

  /**
   * @param {string} path
   * @param {RequestInit & {headers: Record<string, string>}} options
   */
  async #fetch(path, options) {
    const headers = this.#token === null ? options.headers : { ...options.headers, authorization: `Bearer ${this.#token}` };
    let response;
    try {
      response = await fetch(`${this.#base}/v1${path}`, { credentials: "omit", referrerPolicy: "no-referrer", ...options, headers });
    } catch (error) {
      if (options.signal?.aborted && options.signal.reason?.name === "AbortError") throw error;
      throw new ApiError(0, "unreachable", "The server doesn't answer.");
    }
    if (response.ok) return response;
    const said = await response.json().catch(() => null);
    const seconds = Number(response.headers.get("retry-after"));
    throw new ApiError(response.status, String(said?.code ?? `http_${response.status}`), String(said?.message ?? response.statusText), said?.retry_after_ms ?? (seconds > 0 ? seconds * 1000 : null));
  }
}

/**
 * The scopes in a token's claim `api`; `null` if it isn't a token that can be read.
 * @param {string} token
 * @returns {string[] | null}
 */
export function scopesOf(token) {
  try {
    const claims = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    return Array.isArray(claims.api) ? claims.api.map(String) : [];
  } catch {
    return null;
  }
}

/** The token of this tab, which goes with it. */
export const tokenStore = {
  /** @returns {string | null} */
  get() {
    return sessionStorage.getItem(TOKEN_KEY);
  },
  /** @param {string | null} token */
  set(token) {
    if (token === null) sessionStorage.removeItem(TOKEN_KEY);
    else sessionStorage.setItem(TOKEN_KEY, token);
  },
};
