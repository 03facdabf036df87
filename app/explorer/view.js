/** What is to be seen, as the address tells it: whoever opens the address sees the same. */

/**
 * @typedef {"a" | "b"} Side One of the two images.
 * @typedef {"images" | "strip" | "grid"} Shown What the code that is shown makes.
 *
 * @typedef {object} View
 * @property {string | null} model
 * @property {string | null} version
 * @property {unknown[]} pasted Latents, as they were pasted.
 * @property {Record<Side, string | null>} sources The examples that the images begin with, by their keys.
 * @property {Side} side The one that the sliders move.
 * @property {string[]} swapped Factors that the two images have from each other.
 * @property {Record<Side, Record<string, number>>} values What the sliders were moved to, by dimension.
 * @property {string | null} strip A dimension.
 * @property {(string | null)[]} grid Two dimensions: across, and down.
 * @property {Shown} shown
 * @property {"curl" | "python"} language
 */

/** @type {Side[]} */
export const SIDES = ["a", "b"];

/** @returns {View} */
export const start = () => ({
  model: null,
  version: null,
  pasted: [],
  sources: { a: null, b: null },
  side: "a",
  swapped: [],
  values: { a: {}, b: {} },
  strip: null,
  grid: [null, null],
  shown: "images",
  language: "python",
});

/** @param {Side} side */
export const other = (side) => (side === "a" ? "b" : "a");

/**
 * Read what an address tells; what it doesn't is as at the start.
 * @param {string} hash
 * @returns {View}
 */
export function readView(hash) {
  const told = new URLSearchParams(hash.replace(/^#/, ""));
  const list = (name) => (told.get(name) ?? "").split(",").filter(Boolean);
  const one = (name, known, otherwise) => (known.includes(told.get(name)) ? told.get(name) : otherwise);
  const [across = null, down = null] = list("grid");
  return {
    model: told.get("model"),
    version: told.get("version"),
    pasted: readPasted(told.get("pasted")),
    sources: { a: told.get("a"), b: told.get("b") },
    side: one("side", SIDES, "a"),
    swapped: list("swap"),
    values: { a: readValues(list("set-a")), b: readValues(list("set-b")) },
    strip: told.get("strip"),
    grid: [across, down],
    shown: one("show", ["images", "strip", "grid"], "images"),
    language: one("in", ["python", "curl"], "python"),
  };
}

/**
 * Write a view as an address tells it.
 * @param {View} view
 * @returns {string}
 */
export function writeView(view) {
  const told = {
    model: view.model,
    version: view.version,
    a: view.sources.a,
    b: view.sources.b,
    side: view.side === "a" ? null : view.side,
    swap: view.swapped.join(","),
    "set-a": writeValues(view.values.a),
    "set-b": writeValues(view.values.b),
    strip: view.strip,
    grid: view.grid.filter(Boolean).join(","),
    show: view.shown === "images" ? null : view.shown,
    in: view.language === "python" ? null : view.language,
    pasted: view.pasted.length ? JSON.stringify(view.pasted) : null,
  };
  const parts = Object.entries(told).filter(([, value]) => value);
  return `#${parts.map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%2C", ",").replaceAll("%3A", ":")}`).join("&")}`;
}

/** @param {Record<string, number>} values */
const writeValues = (values) => Object.entries(values).map(([key, value]) => `${key}:${value}`).join(",");

/**
 * @param {string[]} items
 * @returns {Record<string, number>}
 */
function readValues(items) {
  const pairs = items.map((item) => item.split(":")).map(([key, text]) => [key, Number(text)]);
  return Object.fromEntries(pairs.filter(([, value]) => Number.isFinite(value)));
}

/**
 * @param {string | null} text
 * @returns {unknown[]}
 */
function readPasted(text) {
  try {
    const rows = JSON.parse(text ?? "[]");
    return Array.isArray(rows) ? rows : [];
  } catch {
    return []; // A shortened address, say.
  }
}
