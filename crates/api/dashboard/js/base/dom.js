// Elements are made here and nowhere else. A child that is not a node becomes a text node, so nothing
// that a node says can turn into markup, and no attribute is ever set from a string of markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * h("td.num", { title: "…", onclick: f }, "text", element, [more], null)
 * Properties that start with "on" are listeners; true and false set and drop an attribute.
 */
export function h(selector, ...rest) {
  const [tag, ...classes] = selector.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  return fill(element, rest);
}

/** The same for the few drawings (icons, the chart of blocks). */
export function svg(tag, ...rest) {
  return fill(document.createElementNS(SVG, tag), rest);
}

/** Replaces what is in an element. */
export function put(element, ...children) {
  element.replaceChildren(...nodes(children));
  return element;
}

export const text = (value) => document.createTextNode(String(value));

function fill(element, rest) {
  const props = rest[0]?.constructor === Object ? rest.shift() : {};
  for (const [name, value] of Object.entries(props)) property(element, name, value);
  element.append(...nodes(rest));
  return element;
}

function property(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "class") element.classList.add(...value.split(" ").filter(Boolean));
  else if (name === "value") element.value = value;
  else element.setAttribute(name, value === true ? "" : value);
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : text(child)));
}
