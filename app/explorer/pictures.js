/** How the rows of a model are drawn: as the images that its decoder makes of them, or as bars. */

import { barsPainter, largest } from "./bars.js";
import { imagePainter, isImage } from "./image.js";

/**
 * @typedef {import("./world.js").World} World
 * @typedef {import("./image.js").Painter} Painter
 * @typedef {ArrayLike<number>} Row
 *
 * @typedef {object} Picture
 * @property {string} caption
 * @property {Painter} painter
 * @property {(face: Face) => Row} row What is drawn of an image.
 * @property {(face: Face) => Row | undefined} own What it would be if nothing were moved.
 *
 * @typedef {object} Face What is known of one of the two images.
 * @property {Row} latents
 * @property {Row} ownLatents
 * @property {Float64Array} codes
 * @property {Row} ownCodes
 * @property {Row | null} output
 */

const HUES = 7;

/**
 * Return the class of a factor's color.
 * @param {World} world
 * @param {string} name
 */
export function hueOf(world, name) {
  const index = world.factors.findIndex((factor) => factor.name === name);
  if (index === 0) return world.factors.length > 1 ? "hue-0" : "hue-1"; // The residual is grey.
  return `hue-${1 + ((index - 1) % HUES)}`;
}

/**
 * Return what is drawn on a card.
 * @param {World} world
 * @returns {Picture[]}
 */
export function picturesOf(world) {
  if (world.outputShape) {
    return [{ caption: "", painter: smallPainter(world, 480, 320), row: (face) => face.output, own: () => undefined }];
  }
  const hues = world.factors.flatMap((factor) => Array(factor.size).fill(hueOf(world, factor.name)));
  const ranges = world.factors.map((factor) => factor.range);
  const scale = 1.1 * largest([...ranges, ...world.examples.map((example) => example.codes)]);
  return [
    { caption: "latents", painter: smallPainter(world, 480, 180), row: (face) => face.latents, own: (face) => face.ownLatents },
    {
      caption: world.named ? "factors" : "code",
      painter: barsPainter({ width: 480, height: 180, scale, hue: (column) => hues[column] }),
      row: (face) => face.codes,
      own: (face) => face.ownCodes,
    },
  ];
}

/**
 * Return what draws the row of an example, of a strip or of a grid.
 * @param {World} world
 * @param {number} [width] Of a drawing that is no image.
 * @param {number} [height]
 * @returns {Painter}
 */
export function smallPainter(world, width = 96, height = 72) {
  const { examples, outputShape } = world;
  if (outputShape && isImage(outputShape)) return imagePainter(outputShape);
  return barsPainter({ width, height, scale: 1.25 * largest(examples.map((example) => example.output ?? example.latents)) });
}

/**
 * Draw one row on a canvas of its own.
 * @param {HTMLCanvasElement} canvas
 * @param {Painter} painter
 * @param {ArrayLike<number>} row
 * @param {ArrayLike<number>} [own]
 */
export function draw(canvas, painter, row, own) {
  fit(canvas, painter.width, painter.height, painter.crisp);
  painter.paint(canvas.getContext("2d"), 0, 0, row, own);
}

/**
 * Give a canvas its size, unless it has it: that would clear it.
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 * @param {boolean} crisp
 */
export function fit(canvas, width, height, crisp) {
  canvas.classList.toggle("crisp", crisp);
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}
