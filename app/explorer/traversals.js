/** A row of images along one dimension, and images over two. */

import { codesOf } from "./codes.js";
import { make } from "./dom.js";
import { fixed, milliseconds, stepBetween } from "./numbers.js";
import { smallPainter } from "./pictures.js";
import { Sheet } from "./sheet.js";
import { dimensionKey, dimensionOf } from "./world.js";

/**
 * @typedef {import("./world.js").World} World
 * @typedef {import("./view.js").View} View
 * @typedef {{pick: (keys: (string | null)[]) => void, move: (values: Record<string, number>) => void}} Actions
 */

export class Traversal {
  /** @type {{rows: ArrayLike<number>[], columns: number} | null} */
  #shown = null;
  /** @type {(string | null)[]} */
  #keys = [];

  /**
   * @param {HTMLElement} element
   * @param {World} world
   * @param {{name: string, title: string, axes: string[], joint: string}} texts Its name, a name for each of its one or two axes, and
   *   what stands between them.
   * @param {Actions} actions
   */
  constructor(element, world, { name, title, axes, joint }, actions) {
    this.world = world;
    this.sheet = new Sheet((across, up) => actions.move(this.#at([across, up])));
    this.painter = smallPainter(world);
    this.time = make("span", { className: "time" });
    this.selects = axes.map((axis, index) => choice(world, `${name}-${index}`, () => actions.pick(this.selects.map((select) => select.value))));
    this.ends = axes.map(() => [make("span"), make("span")]);
    const label = (axis, index) => make("label", { className: "unseen", htmlFor: this.selects[index].id, textContent: axis });
    const fields = axes.flatMap((axis, index) => [...(index ? [make("span", { textContent: joint })] : []), label(axis, index), this.selects[index]]);
    element.replaceChildren(
      make("div", { className: "head" }, make("h2", { id: `${name}-title`, textContent: title }), ...fields, this.time),
      make("div", { className: `axes-${axes.length}` }, this.sheet.element, ...this.ends.map(endsOf)),
    );
    addEventListener("theme", () => this.#shown && element.isConnected && this.#draw());
  }

  /**
   * @param {View} view
   * @param {(string | null)[]} keys The dimensions, across and up.
   */
  update(view, keys) {
    this.#keys = keys;
    const codes = codesOf(this.world, view, view.side);
    const axes = keys.map((key) => dimensionOf(this.world, key));
    axes.forEach(({ factor: { range } }, index) => {
      this.selects[index].value = keys[index];
      range.forEach((end, position) => (this.ends[index][position].textContent = fixed(end, 1)));
    });
    const told = axes.map(({ label, factor }) => `${label} from ${fixed(factor.range[0], 1)} to ${fixed(factor.range[1], 1)}`);
    this.sheet.canvas.setAttribute("aria-label", `${view.side.toUpperCase()} with ${told.join(" and ")}`);
    this.marks = axes.map(({ column, factor: { range } }) => (codes[column] - range[0]) / (range[1] - range[0]));
    this.sheet.place(this.marks[0], this.marks[1] ?? 0);
  }

  /**
   * @param {ArrayLike<number>[]} rows
   * @param {number} columns
   * @param {number} took Milliseconds.
   */
  show(rows, columns, took) {
    this.#shown = { rows, columns };
    this.time.textContent = milliseconds(took);
    this.#draw();
  }

  #draw() {
    this.sheet.draw(this.#shown.rows, this.#shown.columns, this.painter);
    this.sheet.place(this.marks[0], this.marks[1] ?? 0);
  }

  /** @returns {Record<string, number>} */
  #at(shares) {
    return Object.fromEntries(this.#keys.map((key, index) => {
      const [low, high] = dimensionOf(this.world, key).factor.range;
      const step = stepBetween(low, high);
      const value = Math.round((low + shares[index] * (high - low)) / step) * step;
      return [key, Number(value.toFixed(Math.max(0, -Math.log10(step))))];
    }));
  }
}

/** The numbers at the ends of an axis, which its sheet tells too. */
const endsOf = (ends, index) => make("div", { className: `ends ends-${index}`, "aria-hidden": "true" }, ...ends);

/** @returns {HTMLSelectElement} */
function choice(world, id, change) {
  const option = (factor, dimension) => make("option", { value: dimensionKey(factor, dimension), textContent: `${factor.name} ${dimension}` });
  const options = (factor) => Array.from({ length: factor.size }, (_, dimension) => option(factor, dimension));
  const group = (factor) => make("optgroup", { label: factor.name }, ...options(factor));
  const select = make("select", { id }, ...world.factors.map(group));
  select.addEventListener("change", change);
  return select;
}
