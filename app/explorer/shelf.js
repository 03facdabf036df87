/** The examples to begin with, and latents of one's own. */

import { exampleOf } from "./codes.js";
import { find, make } from "./dom.js";
import { draw, smallPainter } from "./pictures.js";
import { SIDES } from "./view.js";

/**
 * @typedef {import("./world.js").World} World
 * @typedef {import("./view.js").View} View
 */

export class Shelf {
  /** @type {Map<string, {radio: HTMLInputElement, badge: HTMLElement}>} */
  #thumbs = new Map();

  /**
   * @param {World} world
   * @param {(key: string) => void} choose
   */
  constructor(world, choose) {
    this.world = world;
    this.choose = choose;
    this.painter = smallPainter(world);
    find("examples").replaceChildren(...world.examples.map((example) => this.#thumb(example)));
    const row = `each row a latent ${shown(world.latentShape)}`;
    find("pasted-hint").textContent = `JSON lists: [[…]], ${row}. The first becomes the image that is chosen.`;
  }

  /** @param {View} view */
  update(view) {
    const letters = SIDES.map((side) => [exampleOf(this.world, view, side).key, side]);
    for (const [key, { radio, badge }] of this.#thumbs) {
      radio.checked = key === exampleOf(this.world, view, view.side).key;
      badge.textContent = letters.filter(([used]) => used === key).map(([, side]) => side.toUpperCase()).join("");
    }
    const whose = this.world.drawn ? "This model ships none: these are drawn from N(0, I)." : "";
    find("examples-hint").textContent = `${whose} Choose one for ${view.side.toUpperCase()}.`.trim();
  }

  #thumb(example) {
    const radio = make("input", { type: "radio", name: "example", className: "unseen", "aria-label": example.name });
    const canvas = make("canvas", { "aria-hidden": "true" });
    const badge = make("span", { className: "badge", "aria-hidden": "true" });
    draw(canvas, this.painter, example.output ?? example.latents);
    addEventListener("theme", () => canvas.isConnected && draw(canvas, this.painter, example.output ?? example.latents));
    radio.addEventListener("change", () => this.choose(example.key));
    this.#thumbs.set(example.key, { radio, badge });
    return make("label", { className: "thumb", title: example.name }, radio, canvas, badge);
  }
}

/**
 * Read what was pasted: a list of rows, or an object that holds one as "latents".
 * @param {string} text
 * @returns {unknown[]}
 */
export function readLatents(text) {
  let read = null;
  try {
    read = JSON.parse(text);
  } catch (error) {
    throw new SyntaxError(`Latents must be JSON lists, [[…]]. Received something else: ${error.message}.`);
  }
  const rows = Array.isArray(read) ? read : read?.latents;
  if (!Array.isArray(rows) || rows.length === 0) {
    throw new SyntaxError("Latents must be a list of rows, [[…]], at least one. Received another value.");
  }
  return Array.isArray(rows[0]) ? rows : [rows];
}

/** @param {number[]} shape */
const shown = (shape) => (shape.length === 1 ? `of ${shape[0]} numbers` : `of shape ${shape.join(" × ")}`);
