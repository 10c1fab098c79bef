// Elements in few words.

/** The element of this id. @returns {any} */
export const the = (id) => document.getElementById(id);

/** The elements that a selector means. @returns {any[]} */
export const all = (selector) => [...document.querySelectorAll(selector)];

/** A new element; what begins with "on" is listened for, null is left out. @returns {any} */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** The shape of a verdict: what color alone would say is said by form as well. */
export function shape(verdict) {
  const known = verdict === "judging" ? "waiting" : verdict;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", `shape ${known}`);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#shape-${known}`);
  svg.append(use);
  return svg;
}
