// Points that were asked for; a click goes back.

import { byId, make } from "./dom.js";
import { stateOf, trustText } from "./trust.js";
import { pointText } from "./words.js";

const LONGEST = 50;

export class History {
  /** @param {(mu: object) => void} goTo */
  constructor(goTo) {
    this.goTo = goTo;
    this.list = byId("history");
    byId("history-clear").addEventListener("click", () => this.clear());
    this.clear();
  }

  clear() {
    this.entries = [];
    this.#show();
  }

  /** Put a point on top. */
  add(parameters, mu, trust) {
    const text = pointText(parameters, mu);
    this.entries = [
      { text, mu, trust, time: new Date() },
      ...this.entries.filter((e) => e.text !== text),
    ].slice(0, LONGEST);
    this.#show();
  }

  #show() {
    byId("history-clear").disabled = !this.entries.length;
    if (!this.entries.length) {
      this.list.replaceChildren(make("li", { class: "hint" }, "Nothing was asked yet."));
      return;
    }
    this.list.replaceChildren(...this.entries.map((entry, i) => make("li", {}, this.#button(entry, i))));
  }

  #button(entry, i) {
    const time = entry.time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
    const button = make(
      "button", { type: "button", class: "entry", "data-state": stateOf(entry.trust), "aria-current": i === 0 && "true" },
      make("span", {}, entry.text),
      make("span", { class: "hint" }, `${trustText(entry.trust)} · ${time}`),
    );
    button.addEventListener("click", () => this.goTo(entry.mu));
    return button;
  }
}
