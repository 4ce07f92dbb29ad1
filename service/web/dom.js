/**
 * Building elements from data. Text always enters as text nodes, never as markup, because labels, file names and
 * server messages are untrusted.
 */

/** Find the one element with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Create an element.
 *
 * @param {string} tag - the element's name
 * @param {object} properties - DOM properties to assign; `aria` and `data` hold `aria-*` and `data-*` attributes
 * @param {...(Node|string)} children - nodes, or strings that become text
 */
export function element(tag, properties = {}, ...children) {
  const { aria = {}, data = {}, ...rest } = properties;
  const node = Object.assign(document.createElement(tag), rest);
  for (const [name, value] of Object.entries(aria)) node.setAttribute(`aria-${name}`, value);
  Object.assign(node.dataset, data);
  node.append(...children);
  return node;
}

/** Create a bar filled to a fraction in [0, 1]; its meaning must stand in text beside it. */
export function bar(fraction, className) {
  const fill = element("span", { className: "bar-fill" });
  fill.style.width = `${100 * Math.min(1, Math.max(0, fraction))}%`;
  return element("span", { className: `bar ${className}`, aria: { hidden: "true" } }, fill);
}

/** Put a message into a paragraph that is hidden while it is empty. */
export function showMessage(id, text) {
  const paragraph = byId(id);
  paragraph.textContent = text;
  paragraph.hidden = !text;
}
