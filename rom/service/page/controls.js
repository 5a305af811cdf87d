// One slider and one number field for each free parameter.

import { make } from "./dom.js";
import { STEPS, placeOf, valueAt } from "./scales.js";
import { number, parsed, unit, withUnit } from "./words.js";

export class Controls {
  /** @param {(settled: boolean) => void} onChange is told of every change */
  constructor(place, onChange) {
    this.place = place;
    this.onChange = onChange;
    this.entries = [];
  }

  /** Show the parameters of a model's card, at their centres. */
  show(parameters) {
    this.fixed = parameters.filter((p) => p.low === p.high);
    this.free = parameters.filter((p) => p.low !== p.high);
    this.entries = this.free.map((p, i) => this.#entry(p, i));
    const fixed = this.fixed.map((p) => make("p", { class: "hint" }, `${p.name} is fixed at ${withUnit(p.low, p.unit)}`));
    this.place.replaceChildren(...this.entries.map((e) => e.element), ...fixed);
    this.centre();
  }

  /** Values by name. */
  get values() {
    return Object.fromEntries(this.entries.map((e) => [e.parameter.name, e.value]));
  }

  /** Set values without telling of it. */
  set values(mu) {
    for (const entry of this.entries) {
      if (Number.isFinite(mu[entry.parameter.name])) entry.set(mu[entry.parameter.name]);
    }
  }

  centre() {
    for (const entry of this.entries) entry.set(valueAt(entry.parameter, STEPS / 2));
  }

  #entry(parameter, index) {
    const { name, low, high } = parameter;
    const own = unit(parameter.unit);
    const label = own ? `${name} in ${own}` : name;
    const slider = make("input", {
      type: "range", id: `slider-${index}`, min: 0, max: STEPS, step: 1, "aria-label": `${label}, slider`,
    });
    const field = make("input", {
      type: "text", inputmode: "decimal", id: `value-${index}`, autocomplete: "off", spellcheck: "false",
      "aria-describedby": `range-${index} note-${index}`,
    });
    const note = make("p", { class: "note", id: `note-${index}` });
    const kind = parameter.scale === "log" ? make("span", { class: "tag" }, "log scale") : "";
    const range = make(
      "div", { class: "range", id: `range-${index}` },
      make("span", {}, number(low)), kind, make("span", {}, withUnit(high, parameter.unit)),
    );
    const element = make(
      "div", { class: "parameter" },
      make("div", { class: "row" },
        make("label", { for: `value-${index}` }, name),
        make("span", { class: "value" }, field, make("span", { class: "unit" }, own))),
      parameter.description ? make("p", { class: "hint" }, parameter.description) : "",
      slider, range, note,
    );
    const entry = new Entry(parameter, element, slider, field, note);
    slider.addEventListener("input", () => this.#moved(entry));
    field.addEventListener("change", () => this.#typed(entry));
    return entry;
  }

  #moved(entry) {
    entry.set(valueAt(entry.parameter, entry.slider.valueAsNumber));
    this.onChange();
  }

  #typed(entry) {
    const value = parsed(entry.field.value);
    if (Number.isFinite(value)) {
      entry.set(value);
      this.onChange();
    } else {
      entry.refuse();
    }
  }
}

class Entry {
  constructor(parameter, element, slider, field, note) {
    Object.assign(this, { parameter, element, slider, field, note });
  }

  set(value) {
    const { low, high, unit: own } = this.parameter;
    this.value = value;
    this.slider.value = placeOf(this.parameter, value);
    this.slider.setAttribute("aria-valuetext", withUnit(value, own));
    this.field.value = String(value);
    this.field.removeAttribute("aria-invalid");
    const outside = value < low || value > high;
    this.element.classList.toggle("outside", outside);
    this.note.textContent = outside ? "▲ outside the trained range" : "";
  }

  refuse() {
    this.field.setAttribute("aria-invalid", "true");
    this.note.textContent = `Expected a number such as ${number(this.parameter.low)}; the answer is still for ${number(this.value)}.`;
  }
}
