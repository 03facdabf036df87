/** Elements: text never becomes markup. */

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, unknown>} [properties] Properties; those with a dash in their names, and `role`, are attributes.
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role") element.setAttribute(key, String(value));
    else element[key] = value;
  }
  element.append(...children);
  return element;
}

/**
 * Find an element of the page by its id.
 * @param {string} id
 * @returns {HTMLElement}
 */
export const find = (id) => document.getElementById(id);

/**
 * Tell what happened to who can't see it.
 * @param {string} text
 */
export function tell(text) {
  find("told").textContent = text;
}
