/** The calls behind what is to be seen, as they are sent and as they are shown in code. */

import { post } from "./api.js";
import { codesOf, editsOf, exampleOf } from "./codes.js";
import { SIDES } from "./view.js";
import { shortest } from "./numbers.js";
import { nested, toTensor } from "./tensor.js";
import { dimensionOf } from "./world.js";

export const STRIP_STEPS = 11;
export const GRID_STEPS = 9;
const MOST_EDITS = 64;

/** A tensor that is yet to be written. */
export class Rows {
  /**
   * @param {ArrayLike<number>[]} rows
   * @param {number[]} shape Of one row.
   */
  constructor(rows, shape) {
    this.rows = rows;
    this.shape = shape;
  }
}

/**
 * @typedef {import("./world.js").World} World
 * @typedef {import("./view.js").View} View
 * @typedef {import("./pictures.js").Face} Face
 * @typedef {{factor: string, dimension: number, from: number, to: number, steps: number}} Axis
 * @typedef {{endpoint: "edit" | "invert" | "traverse", switches: string[], body: Record<string, any>}} Call
 */

/**
 * Send a call.
 * @param {World} world
 * @param {Call} call
 * @param {AbortSignal} signal
 */
export function send(world, call, signal) {
  const query = call.switches.map((name) => `${name}=true`).join("&");
  return post(`${world.path}${call.endpoint}${query && `?${query}`}`, written(call.body, ({ rows, shape }) => toTensor(rows, shape)), signal);
}

/**
 * Write a body: its rows in some form, all else as it is.
 * @param {any} body
 * @param {(rows: Rows) => unknown} form
 * @returns {any}
 */
export function written(body, form) {
  if (body instanceof Rows) return form(body);
  if (Array.isArray(body)) return body.map((item) => written(item, form));
  if (body === null || typeof body !== "object") return body;
  return Object.fromEntries(Object.entries(body).map(([name, value]) => [name, written(value, form)]));
}

/**
 * Write rows as lists, each number as short as it can be.
 * @param {World} world
 * @returns {(rows: Rows) => unknown}
 */
export const listed = (world) => ({ rows, shape }) => rows.map((row) => nested(Array.from(row, (value) => shortest(value, world.dtype)), shape));

/**
 * The call that makes both images: edits of their examples, or their codes inverted where nothing is edited.
 * @param {World} world
 * @param {View} view
 * @returns {Call}
 */
export function imagesCall(world, view) {
  const edits = editsOf(world, view);
  if (!world.named || edits.length === 0 || edits.length > MOST_EDITS) return invertCall(world, SIDES.map((side) => codesOf(world, view, side)), ["check"]);
  const latents = SIDES.map((side) => exampleOf(world, view, side).latents);
  const donors = new Rows([...latents].reverse(), world.latentShape);
  const body = {
    latents: new Rows(latents, world.latentShape),
    edits: edits.map(({ factor, rows }) => {
      const edit = rows ? { set: new Rows(rows, [factor.size]) } : { swap: donors };
      return { factor: factor.name, ...edit };
    }),
  };
  return { endpoint: "edit", switches: decoding(world), body };
}

/**
 * The call that makes one row of images along a dimension.
 * @param {World} world
 * @param {View} view
 * @param {Face} face The image that is looked at.
 * @returns {Call}
 */
export const stripCall = (world, view, face) => traverseCall(world, face, [axisOf(world, view.strip, STRIP_STEPS)]);

/**
 * The call that makes images over two dimensions: the rows go down the grid, from its lower end up.
 * @param {World} world
 * @param {View} view
 * @param {Face} face
 * @returns {Call}
 */
export function gridCall(world, view, face) {
  const [across, down] = view.grid;
  return traverseCall(world, face, [axisOf(world, down, GRID_STEPS), axisOf(world, across, GRID_STEPS)]);
}

/**
 * Name the codes that a traverse does not overwrite: when they stay the same, so does its result.
 * @param {World} world
 * @param {Face} face
 * @param {string[]} dimensions
 */
export function besides(world, face, dimensions) {
  const codes = Float64Array.from(face.codes);
  for (const key of dimensions) codes[dimensionOf(world, key).column] = 0;
  return `${dimensions.join()} ${codes.join()}`;
}

/** @returns {Axis} */
function axisOf(world, key, steps) {
  const { factor, dimension } = dimensionOf(world, key);
  return { factor: factor.name, dimension, from: factor.range[0], to: factor.range[1], steps };
}

/** @returns {Call} */
function traverseCall(world, face, axes) {
  if (world.named) {
    return { endpoint: "traverse", switches: decoding(world), body: { latents: new Rows([face.latents], world.latentShape), axes } };
  }
  let rows = [face.codes];
  for (const axis of axes) {
    const column = dimensionOf(world, `${axis.factor}.${axis.dimension}`).column;
    rows = rows.flatMap((row) => positions(axis).map((value) => row.with(column, value)));
  }
  return invertCall(world, rows, []);
}

/** @param {Axis} axis */
const positions = ({ from, to, steps }) => Array.from({ length: steps }, (_, index) => from + ((to - from) * index) / (steps - 1));

/** @returns {Call} */
function invertCall(world, codes, switches) {
  const part = ({ start, size }) => new Rows(codes.map((code) => code.subarray(start, start + size)), [size]);
  const factors = () => Object.fromEntries(world.factors.map((factor) => [factor.name, part(factor)]));
  const body = world.named ? { factors: factors() } : { codes: new Rows(codes, world.codeShape) };
  return { endpoint: "invert", switches: [...switches, ...decoding(world)], body };
}

/** @param {World} world */
const decoding = (world) => (world.outputShape ? ["decode"] : []);
