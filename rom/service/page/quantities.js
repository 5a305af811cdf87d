// Quantities of interest: a curve of one of them, and a table of all at the time that is shown.

import { drawCurve } from "./curves.js";
import { byId, fillSelect, make } from "./dom.js";
import { number, percent, unit, withUnit } from "./words.js";

export class Quantities {
  constructor() {
    this.table = byId("quantities");
    this.select = byId("quantity");
    this.curve = byId("curve");
    this.select.addEventListener("change", () => this.#draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
    // The library for curves is large: it is fetched when the place of the curve is seen.
    this.seen = false;
    new IntersectionObserver(([entry]) => {
      this.seen = entry.isIntersecting;
      this.#draw();
    }).observe(this.curve);
  }

  setModel(model) {
    this.model = model;
    this.series = model.card.quantities.filter((q) => q.per_time && model.times.length > 1);
    fillSelect(this.select, this.series.map((q) => [q.name, q.name]));
    byId("quantity-choice").hidden = this.curve.hidden = !this.series.length;
    byId("quantities-card").hidden = !model.card.quantities.length;
  }

  /** @param columns [{ label, values }] with values by name, lists over time; null where unknown */
  show(columns, k) {
    this.columns = columns;
    this.k = k;
    this.#fill();
    this.#draw();
  }

  setTime(k) {
    this.show(this.columns ?? [], k);
  }

  #fill() {
    const { columns, k, model } = this;
    const at = (values) => values?.[Math.min(k, values.length - 1)];
    const compared = columns.length === 2;
    const heads = ["Quantity", ...columns.map((c) => c.label), ...(compared ? ["Difference"] : []), "Usual error"];
    const rows = model.card.quantities.map((q) => {
      const values = columns.map((c) => at(c.values[q.name]));
      const shown = values.map((v) => (v === undefined ? "–" : withUnit(v, q.unit, 5)));
      if (compared) shown.push(values.includes(undefined) ? "–" : withUnit(values[0] - values[1], q.unit, 3));
      const cells = [...shown, q.error === null ? "unknown" : percent(q.error)].map((text) => make("td", {}, text));
      return make("tr", {}, make("th", { scope: "row" }, q.name), ...cells);
    });
    const logs = model.card.kind === "structure" ? " That of cycles: of their logarithm." : "";
    const caption = model.times.length > 1 ? `At ${number(model.times[k])} s. ` : "";
    this.table.replaceChildren(
      make("caption", {}, `${caption}Usual error: of simulations that were left out, over the quantity's spread.${logs}`),
      make("thead", {}, make("tr", {}, ...heads.map((h) => make("th", { scope: "col" }, h)))),
      make("tbody", {}, ...rows),
    );
  }

  async #draw() {
    const name = this.select.value;
    const info = this.series?.find((q) => q.name === name);
    if (!info || !this.columns?.length) return;
    const { times } = this.model;
    const series = this.columns
      .map((c, index) => ({ label: c.label, times, values: c.values[name], index }))
      .filter((s) => s.values);
    const flat = series[0]?.values ?? [];
    const [low, high] = [Math.min(...flat), Math.max(...flat)];
    this.curve.setAttribute(
      "aria-label",
      `${name} over time: from ${withUnit(low, info.unit)} to ${withUnit(high, info.unit)}, ` +
        `${withUnit(flat[this.k], info.unit)} at ${number(times[this.k])} s`,
    );
    if (!this.seen) return;
    try {
      await drawCurve(this.curve, { name, unit: unit(info.unit), series, time: times[this.k] });
    } catch (error) {
      this.curve.textContent = error.message;
    }
  }
}
