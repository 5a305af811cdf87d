// The bar below a picture: colours, numbers, unit.

import { make } from "./dom.js";
import { ticks } from "./scales.js";
import { number, tickText, unit } from "./words.js";

export class ColourBar {
  constructor() {
    this.canvas = make("canvas", { width: 256, height: 1, "aria-hidden": "true" });
    this.marks = make("div", { class: "marks" });
    this.element = make("div", { class: "colourbar" }, this.canvas, this.marks);
  }

  /** @param range [low, high] @param name of the field, with its unit below the bar */
  show(table, range, name, unitText, width) {
    const context = this.canvas.getContext("2d");
    context.putImageData(new ImageData(new Uint8ClampedArray(table), 256, 1), 0, 0);
    const [low, high] = range;
    const own = unit(unitText);
    const title = own ? `${name} in ${own}` : name;
    const marks = high > low ? this.#marks(low, high, width) : [mark(0.5, number(low))];
    this.marks.replaceChildren(...marks, make("div", { class: "marks-title" }, title));
  }

  #marks(low, high, width) {
    const { step, values } = ticks(low, high, Math.max(2, Math.floor(width / 90)));
    return values.map((v) => mark((v - low) / (high - low), tickText(v, step)));
  }
}

function mark(part, text) {
  const element = make("span", { class: "mark" }, text);
  // Set as a property: a style in an attribute would be no matter of the page's own rules.
  element.style.left = `${100 * part}%`;
  return element;
}
