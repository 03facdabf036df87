/** Tensors on their way: bytes in base64, which need no parsing of digits. */

const KINDS = { float32: Float32Array, float64: Float64Array };

/**
 * @typedef {{dtype: string, shape: number[], base64: string}} Tensor A tensor as the service takes and gives it.
 * @typedef {Float32Array | Float64Array} Row The numbers of one row, in C order.
 */

/**
 * Write rows as a tensor.
 * @param {ArrayLike<number>[]} rows
 * @param {number[]} shape Of one row.
 * @returns {Tensor}
 */
export function toTensor(rows, shape) {
  const size = rows[0].length;
  const all = new Float64Array(rows.length * size);
  rows.forEach((row, index) => all.set(row, index * size));
  return { dtype: "float64", shape: [rows.length, ...shape], base64: toBase64(new Uint8Array(all.buffer)) };
}

/**
 * Read a tensor's rows.
 * @param {Tensor} tensor
 * @returns {Row[]}
 */
export function toRows({ dtype, shape, base64 }) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const all = new KINDS[dtype](bytes.buffer);
  const size = all.length / shape[0];
  return Array.from({ length: shape[0] }, (_, index) => all.subarray(index * size, (index + 1) * size));
}

/**
 * Nest the numbers of a row as its shape wants it.
 * @param {ArrayLike<number>} row
 * @param {number[]} shape
 * @returns {unknown}
 */
export function nested(row, shape) {
  let parts = Array.from(row);
  for (const size of shape.slice(1).reverse()) {
    parts = Array.from({ length: parts.length / size }, (_, index) => parts.slice(index * size, (index + 1) * size));
  }
  return parts;
}

/** @param {Uint8Array} bytes */
function toBase64(bytes) {
  const parts = [];
  for (let start = 0; start < bytes.length; start += 8192) {
    parts.push(String.fromCharCode(...bytes.subarray(start, start + 8192)));
  }
  return btoa(parts.join(""));
}
