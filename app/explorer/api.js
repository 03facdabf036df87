/** Requests to the service that the page came from, and what can go wrong with them. */

const KEY = "gyoza-key";

/** The address of the service, also behind a proxy's prefix. */
export const base = new URL(".", location.href).href;

/** An answer of the service that says what is wrong, after RFC 9457. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {number} retryAfter Seconds after which to try again; 0 where that would not help.
   * @param {{title?: string, detail?: string, errors?: {field: string, message: string}[], request_id?: string}} told
   */
  constructor(status, retryAfter, told) {
    super(told.title ?? `Status ${status}`);
    this.status = status;
    this.retryAfter = retryAfter;
    this.detail = told.detail ?? "";
    this.errors = told.errors ?? [];
    this.requestId = told.request_id ?? "";
  }
}

/** No answer at all. */
export class Unreachable extends Error {}

/** @returns {string | null} The API key that was typed in, kept until the tab is closed. */
export const key = () => sessionStorage.getItem(KEY);

/** @param {string} text */
export const keepKey = (text) => sessionStorage.setItem(KEY, text);

/**
 * @typedef {{content: any, milliseconds: number}} Answer What came, and how long it took.
 */

/**
 * Ask for something.
 * @param {string} path Without a slash at its begin.
 * @param {AbortSignal} [signal]
 * @returns {Promise<Answer>}
 */
export const get = (path, signal) => ask(path, { signal });

/**
 * Send something.
 * @param {string} path
 * @param {unknown} body
 * @param {AbortSignal} [signal]
 * @returns {Promise<Answer>}
 */
export const post = (path, body, signal) =>
  ask(path, { signal, method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

/**
 * @param {string} path
 * @param {RequestInit} options
 * @returns {Promise<Answer>}
 */
async function ask(path, options) {
  const start = performance.now();
  const headers = { ...options.headers, ...(key() ? { Authorization: `Bearer ${key()}` } : {}) };
  const [answer, text] = await reached(path, { ...options, headers, cache: "no-store" });
  const retryAfter = Number(answer.headers.get("Retry-After"));
  if (!answer.ok) throw new Problem(answer.status, retryAfter, parsed(text) ?? { title: `${answer.status} ${answer.statusText}` });
  return { content: JSON.parse(text), milliseconds: performance.now() - start };
}

/**
 * @param {string} path
 * @param {RequestInit} options
 * @returns {Promise<[Response, string]>}
 */
async function reached(path, options) {
  try {
    const answer = await fetch(new URL(path, base), options);
    return [answer, await answer.text()];
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Unreachable("The service does not answer.");
  }
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // A proxy's page, say.
  }
}
