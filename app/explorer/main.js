/** The page: what is to be seen stands in the address, and everything on the page follows it. */

import { get, post } from "./api.js";
import { GRID_STEPS, STRIP_STEPS, besides, gridCall, imagesCall, send, stripCall } from "./calls.js";
import { Cards } from "./cards.js";
import { Code } from "./code.js";
import { codesOf, exampleOf, fitted, ownCodes, swapped } from "./codes.js";
import { find, tell } from "./dom.js";
import { Line } from "./line.js";
import { listModels, modelToShow, nameModel } from "./models.js";
import { notice } from "./notices.js";
import { milliseconds } from "./numbers.js";
import { Shelf, readLatents } from "./shelf.js";
import { Sliders } from "./sliders.js";
import { toRows, toTensor } from "./tensor.js";
import { Traversal } from "./traversals.js";
import { SIDES, readView, start, writeView } from "./view.js";
import { openWorld, paste } from "./world.js";

const LOADING_MS = 1000;
const ADDRESS_MS = 250;
const REST_MS = 200;
const STRIP_TEXTS = { name: "strip", title: "Along", axes: ["Along"], joint: "" };
const GRID_TEXTS = { name: "grid", title: "Over", axes: ["Across", "Up"], joint: "and" };

/** @type {import("./view.js").View} */
let view = readView(location.hash);
/** @type {import("./world.js").World | null} */
let world = null;
/** Whether another one is to be opened. */
let wanted = true;
/** Those parts of the page that are made for a model. */
let parts = null;
/** What the images were last. */
let faces = null;

const lines = Object.fromEntries(
  ["models", "world", "paste", "images", "strip", "grid", "likelihood"].map((name) => [name, new Line((error) => notice(name, error, again))]),
);
const code = new Code((patch) => change(patch));

/** Go on where something went wrong. */
function again() {
  if (wanted) return open();
  frame();
  if (faces && !world.named) weigh();
}

/** Ask which models there are, and show the one that is meant. */
function open() {
  wanted = true;
  lines.world.drop();
  lines.paste.drop();
  document.querySelector("main").inert = true; // The view is another one's already.
  list();
}

let listing = 0;

/** List the models, again while some are loading. */
function list() {
  clearTimeout(listing);
  lines.models.drop();
  lines.models.ask("", (signal) => get("models", signal), ({ content: { models } }) => {
    listModels(find("models"), models, view, choose);
    if (models.some((model) => model.state === "LOADING")) listing = setTimeout(list, LOADING_MS);
    const name = modelToShow(models, view.model);
    if (wanted && name) lines.world.ask(name, (signal) => openWorld(name, view.version, view.pasted, signal), shown);
    else if (wanted) find("models").open = true;
  });
}

/** Show a model. */
function shown(found) {
  world = found;
  wanted = false;
  faces = null;
  view = fitted(world, { ...view, model: world.name });
  for (const name of ["images", "strip", "grid", "likelihood"]) lines[name].drop();
  nameModel(find("models"), world.name, world.version);
  find("swap-hint").hidden = !world.named;
  find("strip").hidden = !view.strip;
  find("grid").hidden = !view.grid[1];
  parts = {
    shelf: new Shelf(world, (key) => change(take(key))),
    cards: new Cards(find("cards"), world, { choose: (side) => change({ side }), swap }),
    sliders: new Sliders(find("sliders"), world, { move: (key, value) => move({ [key]: value }), reset }),
    strip: new Traversal(find("strip"), world, STRIP_TEXTS, { pick: ([strip]) => change({ strip }), move }),
    grid: new Traversal(find("grid"), world, GRID_TEXTS, { pick: pickGrid, move }),
  };
  Object.assign(document.querySelector("main"), { hidden: false, inert: false });
  tell(`${world.name}, version ${world.version}`);
  change({});
}

/**
 * Change what is to be seen.
 * @param {Partial<import("./view.js").View>} patch
 */
function change(patch) {
  view = { ...view, ...patch };
  parts.shelf.update(view);
  parts.cards.update(view);
  parts.sliders.update(view);
  if (view.strip) parts.strip.update(view, [view.strip]);
  if (view.grid[1]) parts.grid.update(view, view.grid);
  find("factors-title").textContent = `${world.named ? "Factors" : "Dimensions"} of ${view.side.toUpperCase()}`;
  find("reset").hidden = !view.swapped.length && SIDES.every((side) => !Object.keys(view.values[side]).length);
  frame();
  keepAddress();
}

let framed = 0;

/** Draw with the browser's next frame: several changes until then are one request. */
function frame() {
  framed ||= requestAnimationFrame(() => {
    framed = 0;
    const [at, call] = [view, imagesCall(world, view)];
    const codes = SIDES.map((side) => codesOf(world, at, side).join());
    lines.images.ask(codes.join(";"), (signal) => send(world, call, signal), (answer) => drawn(at, answer));
    if (faces) follow();
  });
}

/** Draw the images that came, and what depends on them. */
function drawn(at, { content, milliseconds: took }) {
  const latents = toRows(content.latents);
  const outputs = content.outputs ? toRows(content.outputs) : null;
  faces = Object.fromEntries(SIDES.map((side, index) => {
    const example = exampleOf(world, at, side);
    return [side, {
      latents: latents[index],
      ownLatents: example.latents,
      codes: codesOf(world, at, side),
      ownCodes: ownCodes(world, at, side),
      output: outputs?.[index] ?? null,
      before: example.likelihood,
      after: content.log_likelihood?.after[index] ?? null,
      error: content.round_trip_error[index],
    }];
  }));
  parts.cards.show(faces);
  find("images-time").textContent = milliseconds(took);
  follow();
  if (!world.named) weigh();
}

/** Let the strip, the grid and the code follow the images. */
function follow() {
  const face = faces[view.side];
  const calls = {
    images: imagesCall(world, view),
    strip: view.strip && stripCall(world, view, face),
    grid: view.grid[1] && gridCall(world, view, face),
  };
  for (const [name, keys] of [["strip", [view.strip]], ["grid", view.grid]]) {
    if (!calls[name]) continue;
    const columns = name === "strip" ? STRIP_STEPS : GRID_STEPS;
    const show = ({ content, milliseconds: took }) => parts[name].show(toRows(content.outputs ?? content.latents), columns, took);
    lines[name].ask(besides(world, face, keys), (signal) => send(world, calls[name], signal), show);
  }
  code.show(world, view, calls);
}

let weighing = 0;

/** Ask for the likelihood of what was inverted, once it rests: an edit tells it by itself. */
function weigh() {
  clearTimeout(weighing);
  lines.likelihood.drop();
  weighing = setTimeout(() => {
    const latents = toTensor(SIDES.map((side) => faces[side].latents), world.latentShape);
    const show = ({ content }) => {
      SIDES.forEach((side, index) => (faces[side].after = content.log_likelihood[index]));
      parts.cards.show(faces);
    };
    lines.likelihood.ask(latents.base64, (signal) => post(`${world.path}encode`, { latents }, signal), show);
  }, REST_MS);
}

/** Move some dimensions of the chosen image; those that are moved to NaN, back to where they were. */
function move(values) {
  const moved = Object.entries({ ...view.values[view.side], ...values }).filter(([, value]) => !Number.isNaN(value));
  change({ values: { ...view.values, [view.side]: Object.fromEntries(moved) } });
}

/** Move all dimensions of a factor back. */
function reset(factor) {
  move(Object.fromEntries(Object.keys(view.values[view.side]).filter((key) => key.split(".")[0] === factor).map((key) => [key, NaN])));
}

/** @param {string} factor */
function swap(factor) {
  change(swapped(view, factor));
  tell(`${factor} swapped`);
}

/** Begin anew with an example, for the chosen image. */
function take(key) {
  return { sources: { ...view.sources, [view.side]: key }, swapped: [], values: { ...view.values, [view.side]: {} } };
}

/** Two dimensions of a grid are two: choosing the one that the other axis has turns it. */
function pickGrid([across, down]) {
  change({ grid: across === down ? [view.grid[1], view.grid[0]] : [across, down] });
}

/** Look at another model. */
function choose(model, version) {
  view = { ...start(), model, version, language: view.language };
  open();
}

let keeping = 0;

/** Write the address a little later: browsers refuse to do so too often. */
function keepAddress() {
  keeping ||= setTimeout(() => {
    keeping = 0;
    history.replaceState(null, "", writeView(view));
  }, ADDRESS_MS);
}

/** Take pasted latents, which the service judges. */
function pasteLatents(event) {
  event.preventDefault();
  const read = async (signal) => {
    const latents = readLatents(find("pasted").value);
    return [latents, await paste(world, [...view.pasted, ...latents], signal)];
  };
  lines.paste.drop();
  lines.paste.ask("", read, ([latents, examples]) => {
    const before = view.pasted.length;
    view = { ...view, pasted: [...view.pasted, ...latents], ...take(`p${before}`) };
    shown({ ...world, examples: [...world.examples, ...examples.slice(before)] });
  });
}

find("paste").addEventListener("submit", pasteLatents);
find("models").addEventListener("toggle", () => find("models").open && list());
find("reset").addEventListener("click", () => change({ swapped: [], values: { a: {}, b: {} } }));
addEventListener("hashchange", () => {
  view = readView(location.hash);
  open();
});
open();
