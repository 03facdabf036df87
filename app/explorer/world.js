/** What is known of the model that is looked at. */

import { get, post } from "./api.js";
import { toRows, toTensor } from "./tensor.js";

const SHOWN = 64;
const TYPICAL = [-3, 3];
const DRAWN = 8;

/**
 * @typedef {import("./tensor.js").Row} Row
 * @typedef {{name: string, start: number, size: number, description: string | null, range: [number, number]}} Factor
 * @typedef {{key: string, name: string, latents: Row, codes: Row, likelihood: number, output: Row | null}} Example
 *
 * @typedef {object} World
 * @property {string} name
 * @property {string} version
 * @property {string} path Where its endpoints are, with a slash at the end.
 * @property {string} shownPath Where they are for who wants the highest version, unless another one was chosen.
 * @property {boolean} pinned Whether one was.
 * @property {string | null} description
 * @property {string} dtype
 * @property {number[]} latentShape
 * @property {number[]} codeShape
 * @property {Factor[]} factors One factor "code" where the model names none.
 * @property {boolean} named Whether it does.
 * @property {number[] | null} outputShape Of one decoded row; null without a decoder.
 * @property {boolean} drawn Whether its examples were drawn from N(0, I), since it ships none.
 * @property {Example[]} examples
 */

/**
 * Ask for all that is known of a model.
 * @param {string} name
 * @param {string | null} version By default the highest that is ready.
 * @param {unknown[]} pasted Latents that stand beside the model's examples.
 * @param {AbortSignal} signal
 * @returns {Promise<World>}
 */
export async function openWorld(name, version, pasted, signal) {
  const path = `models/${encodeURIComponent(name)}${version ? `/versions/${encodeURIComponent(version)}` : ""}`;
  const { content: detail } = await get(path, signal);
  if (!Array.isArray(detail.latent_shape)) await get(`${path}/factors`, signal); // Which says why it can't be looked at.
  const own = `models/${encodeURIComponent(name)}`;
  const world = {
    name,
    version: detail.version,
    path: `${own}/versions/${detail.version}/`, // Lest another version become the highest meanwhile.
    shownPath: `${path}/`,
    pinned: version !== null,
    description: detail.description,
    dtype: detail.dtype,
    latentShape: detail.latent_shape,
    codeShape: detail.code_shape,
    factors: factorsOf(detail),
    named: detail.factors !== null,
    outputShape: null,
    drawn: detail.examples === 0,
    examples: [],
  };
  const latents = world.drawn ? await drawn(world, signal) : await shipped(world, signal);
  world.examples = await encoded(world, toTensor(latents, world.latentShape), "", signal);
  if (pasted.length) world.examples.push(...(await paste(world, pasted, signal)));
  if (detail.decoder) await decode(world, world.examples, signal);
  return world;
}

/**
 * Turn pasted latents into examples.
 * @param {World} world
 * @param {unknown} latents As they were pasted: the service judges them.
 * @param {AbortSignal} [signal]
 * @returns {Promise<Example[]>}
 */
export async function paste(world, latents, signal) {
  const examples = await encoded(world, latents, "p", signal);
  if (world.outputShape) await decode(world, examples, signal);
  return examples;
}

/**
 * Name a dimension of a factor.
 * @param {Factor} factor
 * @param {number} dimension From 0 on.
 */
export const dimensionKey = (factor, dimension) => `${factor.name}.${dimension}`;

/**
 * Return the factors in the order in which they are shown: the residual, first in a code, is the rest.
 * @param {World} world
 * @returns {Factor[]}
 */
export const shownFactors = ({ factors }) => (factors.length > 1 ? [...factors.slice(1), factors[0]] : factors);

/**
 * Find a dimension by its name.
 * @param {World} world
 * @param {string} key
 * @returns {{factor: Factor, dimension: number, column: number, label: string} | null}
 */
export function dimensionOf(world, key) {
  const [name, text] = key.split(".");
  const factor = world.factors.find((each) => each.name === name);
  const dimension = Number(text);
  if (!factor || !Number.isInteger(dimension) || dimension < 0 || dimension >= factor.size) return null;
  return { factor, dimension, column: factor.start + dimension, label: `${name} ${dimension}` };
}

/** @returns {Factor[]} */
function factorsOf(detail) {
  const whole = { name: "code", start: 0, size: detail.code_size, description: null, range: null };
  return (detail.factors ?? [whole]).map((factor) => ({ ...factor, range: factor.range ?? TYPICAL }));
}

/** @returns {Promise<ArrayLike<number>[]>} */
async function shipped(world, signal) {
  const { content } = await get(`${world.path}examples`, signal);
  return content.latents.slice(0, SHOWN).map((row) => row.flat(Infinity));
}

/** @returns {Promise<Row[]>} */
async function drawn(world, signal) {
  const size = world.codeShape.reduce((product, length) => product * length, 1);
  const normal = normals(7);
  const codes = Array.from({ length: DRAWN }, () => Float64Array.from({ length: size }, normal));
  const { content } = await post(`${world.path}invert`, { codes: toTensor(codes, world.codeShape) }, signal);
  return toRows(content.latents);
}

/** @returns {Promise<Example[]>} */
async function encoded(world, latents, prefix, signal) {
  const { content } = await post(`${world.path}encode`, { latents }, signal);
  const codes = Array.isArray(content.codes) ? content.codes.map((row) => row.flat(Infinity)) : toRows(content.codes);
  const rows = Array.isArray(latents) ? latents.map((row) => row.flat(Infinity)) : toRows(latents);
  return rows.map((row, index) => ({
    key: `${prefix}${index}`,
    name: prefix ? `pasted ${index + 1}` : `example ${index + 1}`,
    latents: Float64Array.from(row),
    codes: Float64Array.from(codes[index]),
    likelihood: content.log_likelihood[index],
    output: null,
  }));
}

/** Add to examples what the decoder makes of them. */
async function decode(world, examples, signal) {
  const codes = toTensor(examples.map((example) => example.codes), world.codeShape);
  const { content } = await post(`${world.path}invert?decode=true`, { codes }, signal);
  world.outputShape = content.outputs.shape.slice(1);
  toRows(content.outputs).forEach((output, index) => (examples[index].output = output));
}

/** Draw from N(0, 1), the same numbers each time. */
function normals(seed) {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}
