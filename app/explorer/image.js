/** Images drawn from their numbers, a pixel for a pixel. */

/**
 * @typedef {object} Painter Draws one row of numbers.
 * @property {number} width In the canvas's own pixels.
 * @property {number} height
 * @property {number} gap Between two drawings.
 * @property {boolean} crisp Whether its pixels stay square when they are enlarged.
 * @property {(context: CanvasRenderingContext2D, x: number, y: number, row: ArrayLike<number>, own?: ArrayLike<number>) => void} paint
 */

const CHANNELS = [1, 3, 4];
const LARGE = 48;

/**
 * Whether rows of a shape are images: [height, width] or [height, width, channels].
 * @param {number[]} shape
 */
export const isImage = (shape) => shape.length === 2 || (shape.length === 3 && CHANNELS.includes(shape[2]));

/**
 * Paint rows as images, whose numbers go from 0 to 1.
 * @param {number[]} shape
 * @returns {Painter}
 */
export function imagePainter([height, width, channels = 1]) {
  const image = new ImageData(width, height);
  return {
    width,
    height,
    gap: Math.max(1, Math.round(width / 8)),
    crisp: width < LARGE,
    paint(context, x, y, row) {
      for (let pixel = 0; pixel < width * height; pixel += 1) {
        for (let channel = 0; channel < 4; channel += 1) image.data[4 * pixel + channel] = 255 * part(row, pixel, channel, channels);
      }
      context.putImageData(image, x, y);
    },
  };
}

/** The red, green, blue or opacity of a pixel. */
function part(row, pixel, channel, channels) {
  if (channel === 3) return channels === 4 ? row[4 * pixel + 3] : 1;
  return row[channels * pixel + (channels === 1 ? 0 : channel)];
}
