/** The two images: pictures, the chips of their factors, and their figures. */

import { exampleOf } from "./codes.js";
import { make } from "./dom.js";
import { draggable } from "./drag.js";
import { fixed, tiny } from "./numbers.js";
import { draw, hueOf, picturesOf } from "./pictures.js";
import { SIDES, other } from "./view.js";
import { shownFactors } from "./world.js";

/**
 * @typedef {import("./view.js").Side} Side
 * @typedef {import("./view.js").View} View
 * @typedef {import("./world.js").World} World
 * @typedef {import("./pictures.js").Face & {before: number, after: number | null, error: number}} Face
 */

export class Cards {
  /** @type {Record<Side, Card>} */
  #cards;

  /**
   * @param {HTMLElement} element
   * @param {World} world
   * @param {{choose: (side: Side) => void, swap: (factor: string) => void}} actions
   */
  constructor(element, world, actions) {
    this.#cards = { a: new Card("a", world, actions), b: new Card("b", world, actions) };
    element.replaceChildren(...SIDES.map((side) => this.#cards[side].element));
  }

  /** @param {View} view */
  update(view) {
    for (const side of SIDES) this.#cards[side].update(view);
  }

  /** @param {Record<Side, Face>} faces */
  show(faces) {
    for (const side of SIDES) this.#cards[side].show(faces[side]);
  }
}

class Card {
  /** @type {Face | null} */
  #face = null;

  /**
   * @param {Side} side
   * @param {World} world
   * @param {{choose: (side: Side) => void, swap: (factor: string) => void}} actions
   */
  constructor(side, world, actions) {
    this.side = side;
    this.world = world;
    this.radio = make("input", { type: "radio", name: "side", value: side });
    this.radio.addEventListener("change", () => actions.choose(side));
    this.source = make("span", { className: "source" });
    this.pictures = picturesOf(world).map((picture) => ({ ...picture, canvas: make("canvas", { role: "img" }) }));
    this.chips = world.named ? shownFactors(world).map((factor) => this.#chip(factor.name, actions.swap)) : [];
    this.likelihood = make("dd");
    this.error = make("dd");
    this.element = make(
      "article",
      { className: "card", "aria-label": `Image ${side.toUpperCase()}` },
      make("label", { className: "side" }, this.radio, make("b", { textContent: side.toUpperCase() }), this.source),
      ...this.pictures.map(({ caption, canvas }) => make("figure", {}, ...(caption ? [make("figcaption", { textContent: caption })] : []), canvas)),
      ...(this.chips.length ? [make("ul", { className: "chips" }, ...this.chips.map((chip) => make("li", {}, chip)))] : []),
      make(
        "dl",
        { className: "figures" },
        make("div", {}, make("dt", { textContent: "log-likelihood" }), this.likelihood),
        make("div", {}, make("dt", { textContent: "round trip" }), this.error),
      ),
    );
    for (const { canvas } of this.pictures) canvas.addEventListener("click", () => actions.choose(side));
    addEventListener("theme", () => this.#face && this.element.isConnected && this.show(this.#face));
  }

  /** @param {View} view */
  update(view) {
    this.radio.checked = view.side === this.side;
    this.element.classList.toggle("chosen", this.radio.checked);
    this.source.textContent = exampleOf(this.world, view, this.side).name;
    for (const chip of this.chips) chip.setAttribute("aria-pressed", String(view.swapped.includes(chip.value)));
    for (const { canvas, caption } of this.pictures) {
      canvas.setAttribute("aria-label", `${caption || "image"} of ${this.side.toUpperCase()}: ${described(this.world, view, this.side)}`);
    }
  }

  /** @param {Face} face */
  show(face) {
    this.#face = face;
    for (const { canvas, painter, row, own } of this.pictures) draw(canvas, painter, row(face), own(face));
    const before = fixed(face.before, 1);
    const after = face.after === null ? before : fixed(face.after, 1);
    this.likelihood.textContent = before === after ? before : `${before} → ${after}`;
    this.error.textContent = tiny(face.error);
  }

  /** @returns {HTMLButtonElement} */
  #chip(name, swap) {
    const to = other(this.side).toUpperCase();
    const chip = make("button", { type: "button", value: name, className: `chip ${hueOf(this.world, name)}`, textContent: name });
    chip.setAttribute("aria-label", `${name}: swap with ${to}`);
    chip.addEventListener("click", () => swap(name));
    draggable(chip, (element) => otherCard(element?.closest(".card"), this.element), () => swap(name));
    return chip;
  }
}

/** @returns {Element | null} A card, unless it is one's own. */
const otherCard = (card, own) => (card && card !== own ? card : null);

/** Say in words what was done to an image. */
function described(world, view, side) {
  const parts = [exampleOf(world, view, side).name];
  if (view.swapped.length) parts.push(`with the ${view.swapped.join(", ")} of ${other(side).toUpperCase()}`);
  const moved = Object.keys(view.values[side]).map((key) => key.replace(".", " "));
  if (moved.length) parts.push(`${moved.join(", ")} moved`);
  return parts.join(", ");
}
