/** Many drawings on one canvas, in rows and columns, with a mark where the image that is looked at would be. */

import { make } from "./dom.js";
import { fit } from "./pictures.js";

/**
 * @typedef {import("./image.js").Painter} Painter
 */

export class Sheet {
  #columns = 1;
  #rows = 1;
  /** @type {Painter | null} */
  #painter = null;

  /**
   * @param {(across: number, up: number) => void} choose Told where somebody points to, from 0 to 1 between the middles of
   *   the outermost drawings.
   */
  constructor(choose) {
    this.canvas = make("canvas", { role: "img" });
    this.mark = make("span", { className: "mark", "aria-hidden": "true" });
    this.element = make("div", { className: "sheet" }, this.canvas, this.mark);
    this.element.addEventListener("pointerdown", (event) => this.#point(event, choose));
    this.element.addEventListener("pointermove", (event) => event.buttons && this.#point(event, choose));
  }

  /**
   * Draw rows, from the lowest row of drawings up.
   * @param {ArrayLike<number>[]} rows
   * @param {number} columns
   * @param {Painter} painter
   */
  draw(rows, columns, painter) {
    this.#columns = columns;
    this.#rows = rows.length / columns;
    this.#painter = painter;
    const { width, height, gap, crisp } = painter;
    fit(this.canvas, columns * (width + gap) - gap, this.#rows * (height + gap) - gap, crisp);
    const context = this.canvas.getContext("2d");
    rows.forEach((row, index) => {
      const line = this.#rows - 1 - Math.floor(index / columns);
      painter.paint(context, (index % columns) * (width + gap), line * (height + gap), row);
    });
  }

  /**
   * Move the mark.
   * @param {number} across From 0 to 1, as those who choose are told.
   * @param {number} up
   */
  place(across, up) {
    if (!this.#painter) return;
    const { width, height, gap } = this.#painter;
    const share = (part, count, size) => (Math.min(1, Math.max(0, part)) * (count - 1) * (size + gap)) / (count * (size + gap) - gap);
    const { style } = this.mark;
    style.setProperty("--left", share(across, this.#columns, width));
    style.setProperty("--bottom", share(up, this.#rows, height));
    style.setProperty("--width", width / this.canvas.width);
    style.setProperty("--height", height / this.canvas.height);
  }

  #point(event, choose) {
    if (!this.#painter || event.button > 0) return;
    if (event.type === "pointerdown") this.element.setPointerCapture(event.pointerId);
    const box = this.canvas.getBoundingClientRect();
    const part = (place, size, count) => {
      const half = 0.5 / count;
      return count < 2 ? 0 : Math.min(1, Math.max(0, (place / size - half) / (1 - 2 * half)));
    };
    choose(part(event.clientX - box.left, box.width, this.#columns), part(box.bottom - event.clientY, box.height, this.#rows));
    event.preventDefault();
  }
}
