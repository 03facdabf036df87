/** Numbers drawn as bars, where there is nothing to decode them to an image. */

/**
 * Paint rows as bars about a line through 0.
 * @param {object} options
 * @param {number} options.width
 * @param {number} options.height
 * @param {number} options.scale The number that reaches the edge.
 * @param {(column: number) => string} [options.hue] The class whose color a bar has.
 * @returns {import("./image.js").Painter}
 */
export function barsPainter({ width, height, scale, hue = () => "ink" }) {
  const middle = height / 2;
  const reach = (value) => Math.max(-middle, Math.min(middle, (value / scale) * middle));
  return {
    width,
    height,
    gap: 8,
    crisp: false,
    paint(context, x, y, row, own) {
      const slot = width / row.length;
      const thick = Math.max(1, slot * 0.7);
      const left = (column) => x + column * slot + (slot - thick) / 2;
      context.fillStyle = colorOf("cell");
      context.fillRect(x, y, width, height);
      context.fillStyle = colorOf("line");
      context.fillRect(x, y + middle - 1, width, 2);
      for (let column = 0; column < row.length; column += 1) {
        context.fillStyle = colorOf(hue(column));
        context.fillRect(left(column), y + middle, thick, -reach(row[column]));
        if (own && own[column] !== row[column]) {
          context.fillStyle = colorOf("ink");
          context.fillRect(left(column) - 1, y + middle - reach(own[column]) - 1.5, thick + 2, 3);
        }
      }
    },
  };
}

/** @type {Map<string, string>} */
const colors = new Map();
addEventListener("theme", () => colors.clear());

/**
 * Return the color that a class has in the theme.
 * @param {string} name
 */
function colorOf(name) {
  if (!colors.has(name)) {
    const probe = document.createElement("i");
    probe.className = `color ${name}`;
    document.body.append(probe);
    colors.set(name, getComputedStyle(probe).color);
    probe.remove();
  }
  return colors.get(name);
}

/**
 * Return the largest size among numbers, lest a scale be 0.
 * @param {ArrayLike<number>[]} rows
 */
export const largest = (rows) => rows.reduce((most, row) => Array.from(row).reduce((so, value) => Math.max(so, Math.abs(value)), most), 1e-6);
