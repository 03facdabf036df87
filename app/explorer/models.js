/** The models that there are, in which state, and why. */

import { make } from "./dom.js";

/**
 * @typedef {{version: string, state: string, reason: string | null}} Version
 * @typedef {{name: string, state: string, reason: string | null, versions: Version[]}} Model
 */

let listed = "";
const WORDS = { READY: "ready", LOADING: "loading", UNAVAILABLE: "unavailable" };

/**
 * List models, each version that is ready as a button.
 * @param {HTMLDetailsElement} element
 * @param {Model[]} models
 * @param {{model: string | null, version: string | null}} view What is looked at.
 * @param {(model: string, version: string | null) => void} choose
 */
export function listModels(element, models, view, choose) {
  const now = JSON.stringify([models, view.model, view.version]);
  if (now === listed) return; // Whoever is about to press a button finds it where it was.
  listed = now;
  const entries = models.map((model) =>
    make(
      "li",
      {},
      make("b", { textContent: model.name }),
      make("ul", {}, ...[...model.versions].reverse().map((version, index) => line(model, version, index === 0, view, choose))),
    ),
  );
  element.querySelector("ul").replaceChildren(...(entries.length ? entries : [make("li", { textContent: "No models are here yet." })]));
}

/**
 * Tell in the summary which model is looked at.
 * @param {HTMLDetailsElement} element
 * @param {string} name
 * @param {string} version
 */
export function nameModel(element, name, version) {
  element.querySelector("summary").replaceChildren(make("b", { textContent: name }), ` version ${version}`);
  element.open = false;
}

/** One version: a button where it is ready, and a reason where there is one. */
function line(model, { version, state, reason }, highest, view, choose) {
  const isShown = model.name === view.model && (view.version ? version === view.version : highest);
  const name = make("button", {
    type: "button",
    textContent: `version ${version}`,
    disabled: state !== "READY",
    "aria-label": `${model.name} version ${version}`,
    "aria-current": String(isShown),
  });
  name.addEventListener("click", () => choose(model.name, version));
  const word = make("span", { className: `state ${state.toLowerCase()}`, textContent: WORDS[state] ?? state });
  return make("li", {}, name, word, ...(reason ? [make("p", { className: "hint", textContent: reason })] : []));
}

/**
 * Return the model to look at: the one that is asked for, unless it is still loading, else the first that is ready.
 * @param {Model[]} models
 * @param {string | null} name
 * @returns {string | null}
 */
export function modelToShow(models, name) {
  if (name) return models.find((model) => model.name === name)?.state === "LOADING" ? null : name;
  const ready = models.find((model) => model.state !== "LOADING" && model.versions.some((version) => version.state === "READY"));
  return ready?.name ?? null;
}
