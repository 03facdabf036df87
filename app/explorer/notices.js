/** What went wrong, in the service's own words, and what to do. */

import { Problem, Unreachable, base, keepKey } from "./api.js";
import { find, make } from "./dom.js";

const FIRST_S = 1;
const LONGEST_S = 10;

/** @type {Map<string, HTMLElement>} */
const shown = new Map();
let waiting = 0;
let looking = false;
let retrying = 0;

/**
 * Show what went wrong with a part of the page, or that nothing does any more.
 * @param {string} part
 * @param {Error | null} error
 * @param {() => void} again Told when there is reason to try again.
 */
export function notice(part, error, again) {
  if (error instanceof Unreachable) return wait(again);
  if (error instanceof Problem && error.status === 401) return ask(error, again);
  if (!error) return put(part, null);
  if (error.retryAfter > 0) later(error.retryAfter, again);
  const dismiss = make("button", { type: "button", className: "quiet", textContent: "Dismiss" });
  dismiss.addEventListener("click", () => put(part, null));
  put(part, [...(error instanceof Problem ? problem(error) : [make("p", { textContent: error.message })]), dismiss]);
}

/** Try again when the service says that it helps: it may be loading, or have much to do. */
function later(seconds, again) {
  clearTimeout(retrying);
  retrying = setTimeout(again, 1000 * seconds);
}

/**
 * Put something in the place of a notice.
 * @param {string} part
 * @param {Node[] | null} content
 */
function put(part, content) {
  shown.get(part)?.remove();
  shown.delete(part);
  if (!content) return;
  const element = make("div", { className: "notice", role: "alert" }, ...content);
  shown.set(part, element);
  find("notices").append(element);
}

/** @param {Problem} error */
function problem(error) {
  const errors = error.errors.map(({ field, message }) => make("li", {}, make("code", { textContent: field }), ` ${message}`));
  return [
    make("h2", { textContent: error.message }),
    make("p", { textContent: error.detail }),
    ...(errors.length ? [make("ul", {}, ...errors)] : []),
    ...(error.requestId ? [make("p", { className: "hint" }, "Request ", make("code", { textContent: error.requestId }))] : []),
  ];
}

/** Look again and again whether the service answers, and go on when it does. */
function wait(again) {
  if (waiting) return;
  let seconds = FIRST_S;
  const now = make("button", { type: "button", textContent: "Try now" });
  put("service", [
    make("h2", { textContent: "The service does not answer" }),
    make("p", { textContent: "It may have been stopped, or be out of reach. What you see is kept, and goes on when it answers again." }),
    now,
  ]);
  const look = async () => {
    if (looking) return;
    clearTimeout(waiting);
    looking = true;
    const there = await answers();
    looking = false;
    if (there) {
      waiting = 0;
      put("service", null);
      return again();
    }
    waiting = setTimeout(look, 1000 * seconds);
    seconds = Math.min(LONGEST_S, 2 * seconds);
  };
  now.addEventListener("click", look);
  waiting = setTimeout(look, 1000 * seconds);
}

/** @returns {Promise<boolean>} */
async function answers() {
  try {
    return (await fetch(new URL("livez", base), { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

/** Ask for an API key. */
function ask(error, again) {
  if (shown.has("key")) return; // Several parts of the page were refused.
  const field = make("input", { id: "key", type: "password", autocomplete: "off", required: true, spellcheck: false, pattern: "[\\x21-\\x7e]+", title: "Letters, digits and signs, without spaces" });
  const form = make(
    "form",
    {},
    make("label", { htmlFor: "key", textContent: "API key" }),
    field,
    make("button", { textContent: "Go on" }),
    make("p", { className: "hint", textContent: "It is kept until this tab is closed, and sent to this service alone." }),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    keepKey(field.value.trim());
    put("key", null);
    again();
  });
  put("key", [...problem(error), form]);
  field.focus();
}
