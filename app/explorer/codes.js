/** The codes of the two images: their examples' own, some swapped, some moved. */

import { dimensionOf } from "./world.js";
import { SIDES, other } from "./view.js";

/**
 * @typedef {import("./world.js").World} World
 * @typedef {import("./world.js").Example} Example
 * @typedef {import("./view.js").View} View
 * @typedef {import("./view.js").Side} Side
 */

/**
 * Return the example that an image begins with.
 * @param {World} world
 * @param {View} view
 * @param {Side} side
 * @returns {Example}
 */
export function exampleOf(world, view, side) {
  const { examples } = world;
  return examples.find((example) => example.key === view.sources[side]) ?? examples[Math.min(SIDES.indexOf(side), examples.length - 1)];
}

/**
 * Return an image's code before anything was moved: its example's own, with what was swapped.
 * @param {World} world
 * @param {View} view
 * @param {Side} side
 * @returns {Float64Array}
 */
export function ownCodes(world, view, side) {
  const codes = Float64Array.from(exampleOf(world, view, side).codes);
  const donor = exampleOf(world, view, other(side)).codes;
  for (const { name, start, size } of world.factors) {
    if (view.swapped.includes(name)) codes.set(donor.subarray(start, start + size), start);
  }
  return codes;
}

/**
 * Return an image's code.
 * @param {World} world
 * @param {View} view
 * @param {Side} side
 * @returns {Float64Array}
 */
export function codesOf(world, view, side) {
  const codes = ownCodes(world, view, side);
  for (const [key, value] of Object.entries(view.values[side])) codes[dimensionOf(world, key).column] = value;
  return codes;
}

/**
 * Swap a factor, with what was moved of it; swapped twice, all is as before.
 * @param {View} view
 * @param {string} name
 * @returns {Partial<View>}
 */
export function swapped(view, name) {
  const belongs = ([key]) => key.split(".")[0] === name;
  const mixed = (own, donor) =>
    Object.fromEntries([...Object.entries(own).filter((item) => !belongs(item)), ...Object.entries(donor).filter(belongs)]);
  return {
    swapped: view.swapped.includes(name) ? view.swapped.filter((each) => each !== name) : [...view.swapped, name],
    values: { a: mixed(view.values.a, view.values.b), b: mixed(view.values.b, view.values.a) },
  };
}

/**
 * Tell the edits that make the codes of a view of those of its examples.
 * @param {World} world
 * @param {View} view
 * @returns {{factor: import("./world.js").Factor, rows: Float64Array[] | null}[]} Factors that are swapped, whose rows are
 *   null, and then those that are set, with their rows.
 */
export function editsOf(world, view) {
  const codes = SIDES.map((side) => codesOf(world, view, side));
  const moved = new Set(SIDES.flatMap((side) => Object.keys(view.values[side]).map((key) => key.split(".")[0])));
  const set = world.factors.filter(({ name }) => moved.has(name));
  return [
    ...world.factors.filter(({ name }) => view.swapped.includes(name)).map((factor) => ({ factor, rows: null })),
    ...set.map((factor) => ({ factor, rows: codes.map((code) => code.subarray(factor.start, factor.start + factor.size)) })),
  ];
}

/**
 * Forget what a view says of dimensions and factors that a model does not have.
 * @param {World} world
 * @param {View} view
 * @returns {View}
 */
export function fitted(world, view) {
  const known = (key) => key !== null && dimensionOf(world, key) !== null;
  const only = (values) => Object.fromEntries(Object.entries(values).filter(([key]) => known(key)));
  const [strip, across, down] = favourites(world);
  const [first, second] = view.grid;
  return {
    ...view,
    sources: { a: exampleOf(world, view, "a").key, b: exampleOf(world, view, "b").key },
    swapped: world.named ? view.swapped.filter((name) => world.factors.some((factor) => factor.name === name)) : [],
    values: { a: only(view.values.a), b: only(view.values.b) },
    strip: known(view.strip) ? view.strip : strip,
    grid: known(first) && known(second) && first !== second ? [first, second] : [across, down],
  };
}

/**
 * Choose dimensions to show first: of factors with a meaning, the first one for the strip, the last two for the grid.
 * @param {World} world
 * @returns {(string | null)[]}
 */
function favourites(world) {
  const meant = world.factors.length > 1 ? world.factors.slice(1) : world.factors;
  const firsts = meant.map((factor) => `${factor.name}.0`);
  const all = [...meant, ...world.factors].flatMap((factor) => [0, 1].slice(0, factor.size).map((dimension) => `${factor.name}.${dimension}`));
  const [across, down = null] = firsts.length > 1 ? firsts.slice(-2) : [...new Set(all)];
  return [firsts[0], across, down];
}
