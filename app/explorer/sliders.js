/** Sliders: a group for every factor, one for each of its dimensions. */

import { codesOf, ownCodes } from "./codes.js";
import { make } from "./dom.js";
import { fixed, stepBetween } from "./numbers.js";
import { hueOf } from "./pictures.js";
import { dimensionKey, shownFactors } from "./world.js";

const OPEN = 12;
const AT_ONCE = 64;

/**
 * @typedef {import("./world.js").World} World
 * @typedef {import("./world.js").Factor} Factor
 * @typedef {import("./view.js").View} View
 * @typedef {{move: (key: string, value: number) => void, reset: (factor: string) => void}} Actions
 */

export class Sliders {
  /**
   * @param {HTMLElement} element
   * @param {World} world
   * @param {Actions} actions
   */
  constructor(element, world, actions) {
    this.world = world;
    this.groups = shownFactors(world).map((factor) => new Group(factor, hueOf(world, factor.name), actions));
    element.replaceChildren(...this.groups.map((group) => group.element));
  }

  /** @param {View} view */
  update(view) {
    const codes = codesOf(this.world, view, view.side);
    const own = ownCodes(this.world, view, view.side);
    for (const group of this.groups) group.update(codes, own, view.values[view.side]);
  }
}

class Group {
  /** @type {Slider[]} */
  #sliders = [];
  #more = make("button", { type: "button", className: "quiet" });

  /**
   * @param {Factor} factor
   * @param {string} hue
   * @param {Actions} actions
   */
  constructor(factor, hue, actions) {
    this.factor = factor;
    this.actions = actions;
    this.rows = make("div", { className: "rows" });
    this.rows.style.setProperty("--name", `${factor.name.length + 1 + String(factor.size - 1).length}ch`);
    this.details = make(
      "details",
      { className: "group", open: factor.size <= OPEN },
      make(
        "summary",
        {},
        make("h3", { className: `name ${hue}`, textContent: factor.name }),
        make("span", { className: "size", textContent: `${factor.size}` }),
      ),
      ...(factor.description ? [make("p", { className: "hint", textContent: factor.description })] : []),
      this.rows,
      this.#more,
    );
    this.reset = make("button", { type: "button", className: "quiet", textContent: "Reset", "aria-label": `Reset ${factor.name}`, hidden: true });
    this.reset.addEventListener("click", () => actions.reset(factor.name));
    this.element = make("div", { className: `part ${hue}` }, this.details, this.reset);
    this.#more.addEventListener("click", () => this.#add());
    this.#add();
  }

  /**
   * @param {Float64Array} codes
   * @param {Float64Array} own
   * @param {Record<string, number>} values What was moved.
   */
  update(codes, own, values) {
    this.codes = codes;
    this.own = own;
    for (const slider of this.#sliders) slider.update(codes[slider.column], own[slider.column], slider.key in values);
    const moved = Object.keys(values).some((key) => key.split(".")[0] === this.factor.name);
    if (moved && this.reset.hidden) this.details.open = true;
    this.reset.hidden = !moved;
    this.values = values;
  }

  /** Many dimensions come in portions. */
  #add() {
    const { size } = this.factor;
    const begin = this.#sliders.length;
    const added = Array.from({ length: Math.min(AT_ONCE, size - begin) }, (_, index) => new Slider(this.factor, begin + index, this.actions.move));
    this.#sliders.push(...added);
    this.rows.append(...added.map((slider) => slider.element));
    this.#more.hidden = this.#sliders.length === size;
    this.#more.textContent = `Show more of ${size}`;
    if (this.codes) this.update(this.codes, this.own, this.values);
  }
}

class Slider {
  /**
   * @param {Factor} factor
   * @param {number} dimension
   * @param {(key: string, value: number) => void} move
   */
  constructor(factor, dimension, move) {
    this.key = dimensionKey(factor, dimension);
    this.column = factor.start + dimension;
    [this.low, this.high] = factor.range;
    this.step = stepBetween(this.low, this.high);
    this.digits = Math.max(0, -Math.log10(this.step));
    this.input = make("input", { type: "range", id: `slider-${factor.name}-${dimension}`, step: this.step });
    this.output = make("output", { htmlFor: this.input.id });
    this.rail = make("span", { className: "rail" }, this.input);
    const label = make("label", { htmlFor: this.input.id, textContent: `${factor.name} ${dimension}` });
    this.element = make("div", { className: "slider" }, label, this.rail, this.output);
    this.input.addEventListener("input", () => move(this.key, Number(this.input.value)));
    this.input.addEventListener("dblclick", () => move(this.key, NaN));
    this.input.addEventListener("keydown", (event) => (event.key === "Delete" || event.key === "Backspace") && move(this.key, NaN));
  }

  /**
   * @param {number} value
   * @param {number} own What it would be if it were not moved.
   * @param {boolean} moved
   */
  update(value, own, moved) {
    // A code may lie beyond what is typical.
    const low = this.#round(Math.min(this.low, value, own), Math.floor);
    const high = this.#round(Math.max(this.high, value, own), Math.ceil);
    this.input.min = low;
    this.input.max = high;
    if (Number(this.input.value) !== Number(value.toFixed(this.digits))) this.input.value = value;
    const text = fixed(value, Math.max(2, this.digits));
    this.output.textContent = text;
    this.input.setAttribute("aria-valuetext", moved ? `${text}, was ${fixed(own)}` : text);
    this.element.classList.toggle("moved", moved);
    const share = (place) => (place - low) / (high - low);
    const places = { own: share(own), value: share(value), from: share(this.low), to: share(this.high) };
    for (const [name, place] of Object.entries(places)) this.rail.style.setProperty(`--${name}`, place);
  }

  /** @returns {number} */
  #round(value, way) {
    return Number((way(Number((value / this.step).toFixed(6))) * this.step).toFixed(this.digits));
  }
}
