// Elements of the document. Text is only ever set as text: nothing from a model becomes markup.

export const byId = (id) => document.getElementById(id);

/** Make an element; attributes set to null or false are left out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

/** Fill a select with [value, text] pairs. */
export function fillSelect(select, pairs, chosen) {
  select.replaceChildren(...pairs.map(([value, text]) => make("option", { value }, text)));
  if (chosen !== undefined) select.value = String(chosen);
}

/** Say something to screen readers. */
export function announce(text) {
  byId("live").textContent = text;
}

/** Show a problem above all else; an empty text takes it away. */
export function showProblem(text) {
  const place = byId("problem");
  if (!text) {
    place.replaceChildren();
    return;
  }
  const close = make("button", { type: "button", "aria-label": "Dismiss" }, "×");
  close.addEventListener("click", () => showProblem(""));
  place.replaceChildren(make("p", {}, text), close);
}
