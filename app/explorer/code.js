/** The part of the page that shows code, and copies it. */

import { find, make, tell } from "./dom.js";
import { curl, python } from "./snippets.js";

const WAYS = { curl, python };
const SHOWN = { images: "Images", strip: "Strip", grid: "Grid" };
const LANGUAGES = { python: "Python", curl: "curl" };
const SOON_MS = 60; // Not at every step of a drag: thousands of numbers take a while.
const LONG_MS = 1500;

/**
 * @typedef {import("./world.js").World} World
 * @typedef {import("./view.js").View} View
 * @typedef {import("./calls.js").Call} Call
 */

export class Code {
  #text = make("code");
  #write = () => "";
  #soon = 0;
  #chosen = "";
  #copy = make("button", { type: "button", textContent: "Copy" });

  /** @param {(patch: Partial<View>) => void} change */
  constructor(change) {
    this.choices = {
      shown: choices("Of", "shown", SHOWN, change),
      language: choices("In", "language", LANGUAGES, change),
    };
    this.#copy.addEventListener("click", () => this.#copied());
    find("code").replaceChildren(
      make(
        "div",
        { className: "head" },
        make("h2", { id: "code-title", textContent: "Code" }),
        this.choices.language.element,
        this.choices.shown.element,
        this.#copy,
      ),
      make("pre", { tabIndex: 0, role: "region", "aria-label": "Code for what is shown" }, this.#text),
    );
  }

  /**
   * @param {World} world
   * @param {View} view
   * @param {Record<string, Call | null>} calls
   */
  show(world, view, calls) {
    for (const [name, radios] of Object.entries(this.choices)) radios.set(view[name]);
    this.#write = () => WAYS[view.language](world, calls[view.shown] ?? calls.images);
    clearTimeout(this.#soon);
    const write = () => (this.#text.textContent = this.#write());
    const chosen = `${view.language} ${view.shown}`;
    if (chosen === this.#chosen) this.#soon = setTimeout(write, SOON_MS);
    else write();
    this.#chosen = chosen;
  }

  async #copied() {
    await copy(this.#write());
    this.#copy.textContent = "Copied";
    tell("Copied");
    setTimeout(() => (this.#copy.textContent = "Copy"), LONG_MS);
  }
}

/** Copy a text, also from pages that came over plain HTTP, which browsers give no clipboard. */
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = make("textarea", { value: text, className: "unseen" });
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

/** A choice of a few, as radio buttons side by side. */
function choices(legend, name, options, change) {
  const radios = Object.keys(options).map((value) => make("input", { type: "radio", name, value, className: "unseen" }));
  for (const radio of radios) radio.addEventListener("change", () => change({ [name]: radio.value }));
  const labels = radios.map((radio) => make("label", {}, radio, make("span", { textContent: options[radio.value] })));
  return {
    element: make("fieldset", { className: "choices" }, make("legend", { className: "unseen", textContent: legend }), ...labels),
    set: (value) => radios.forEach((radio) => (radio.checked = radio.value === value)),
  };
}
