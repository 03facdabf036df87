/** Numbers as people and programs read them. */

const MINUS = "−";

/**
 * Write a number with so many digits behind the point, and a real minus.
 * @param {number} value
 * @param {number} digits
 * @returns {string}
 */
export function fixed(value, digits = 2) {
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", MINUS);
}

/**
 * Write a small error, such as 3.1e−7.
 * @param {number} value
 * @returns {string}
 */
export const tiny = (value) => (value === 0 ? "0" : value.toExponential(1).replace("-", MINUS));

/**
 * Write milliseconds.
 * @param {number} value
 * @returns {string}
 */
export const milliseconds = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;

/**
 * Return the number with the fewest digits that is the same one in a dtype.
 * @param {number} value
 * @param {string} dtype
 * @returns {number}
 */
export function shortest(value, dtype) {
  if (dtype !== "float32") return value;
  for (let digits = 1; digits < 9; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === Math.fround(value)) return short;
  }
  return Number(value.toPrecision(9));
}

/**
 * Return a step of a slider, a power of ten, of which more than a hundred fit between two numbers.
 * @param {number} low
 * @param {number} high
 * @returns {number}
 */
export const stepBetween = (low, high) => 10 ** Math.floor(Math.log10((high - low) / 100));
