/** Code that makes what is to be seen: curl, and the Python client. */

import { base, key } from "./api.js";
import { listed, written } from "./calls.js";

/**
 * @typedef {import("./world.js").World} World
 * @typedef {import("./calls.js").Call} Call
 */

/**
 * Write a call for a shell.
 * @param {World} world
 * @param {Call} call
 * @returns {string}
 */
export function curl(world, call) {
  const query = call.switches.map((name) => `${name}=true`).join("&");
  const lines = [
    `curl -s '${base}${world.shownPath}${call.endpoint}${query && `?${query}`}'`,
    "-H 'Content-Type: application/json'",
    ...(key() ? ['-H "Authorization: Bearer $GYOZA_KEY"'] : []),
    `-d '${json(written(call.body, listed(world)))}'`,
  ];
  return lines.join(" \\\n  ");
}

/**
 * Write a call for Python.
 * @param {World} world
 * @param {Call} call
 * @returns {string}
 */
export function python(world, call) {
  const { names, lines } = WAYS[call.endpoint](world, call);
  const options = [
    `model=${json(world.name)}`,
    ...(world.pinned ? [`version=${json(world.version)}`] : []),
    ...(key() ? ['api_key=os.environ["GYOZA_KEY"]'] : []),
  ];
  return [
    ...(key() ? ["import os", ""] : []),
    `from gyoza.client import ${["Client", ...names].sort().join(", ")}`,
    "",
    `client = Client(${[json(base.replace(/\/$/, "")), ...options].join(", ")})`,
    ...lines,
  ].join("\n");
}

/** @type {Record<string, (world: World, call: Call) => {names: string[], lines: string[]}>} */
const WAYS = {
  edit(world, { body, switches }) {
    const lists = listed(world);
    const edits = body.edits.map(({ factor, set }) =>
      set ? `edits.set(${json(factor)}, ${json(lists(set))})` : `swap(${json(factor)}, latents[::-1])`);
    const names = ["edits", "swap"].filter((name) => edits.some((edit) => edit.startsWith(name)));
    return { names, lines: [`latents = ${json(lists(body.latents))}`, asked("edit", ["latents", ...edits], switches)] };
  },
  invert(world, { body, switches }) {
    const [name, value] = Object.entries(written(body, listed(world)))[0];
    return { names: [], lines: [`${name} = ${json(value)}`, asked("invert", [name], switches)] };
  },
  traverse(world, { body, switches }) {
    const { latents, axes } = written(body, listed(world));
    const walks = axes.map(({ factor, dimension, from, to, steps }) => `Axis(${json(factor)}, ${dimension}, ${from}, ${to}, ${steps})`);
    return { names: ["Axis"], lines: [`latents = ${json(latents)}`, asked("traverse", ["latents", ...walks], switches)] };
  },
};

/** A call of the client. */
const asked = (name, things, switches) => `answer = client.${name}(${[...things, ...switches.map((each) => `${each}=True`)].join(", ")})`;

/** Write JSON, which here is Python too, with spaces as people write it. */
const json = (value) => JSON.stringify(value).replaceAll(/,(?=["[{\d-])/g, ", ").replaceAll(/":/g, '": ');
