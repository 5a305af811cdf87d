// The output time that is shown: a slider, and play.

import { byId } from "./dom.js";
import { number } from "./words.js";

const WHOLE_MS = 6000;
const SHORTEST_MS = 60;
const CALM_MS = 1000;

export class TimeBar {
  /** @param {(k: number) => Promise<void>} onChange shows an output time */
  constructor(onChange) {
    this.onChange = onChange;
    this.slider = byId("time");
    this.button = byId("play");
    this.slider.addEventListener("input", () => {
      this.stop();
      this.#tell();
      onChange(this.k);
    });
    this.button.addEventListener("click", () => (this.playing ? this.stop() : this.play()));
  }

  get k() {
    return this.slider.valueAsNumber;
  }

  set k(value) {
    this.slider.value = value;
    this.#tell();
  }

  /** The time that is shown in words; empty for a steady model. */
  get text() {
    return this.times.length > 1 ? `${number(this.times[this.k])} s` : "";
  }

  show(times) {
    this.stop();
    this.times = times;
    this.slider.max = times.length - 1;
    this.k = times.length - 1;
    byId("time-row").hidden = times.length < 2;
  }

  async play() {
    const turn = (this.playing = {});
    this.#label("Pause", true);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const wait = calm ? CALM_MS : Math.max(SHORTEST_MS, WHOLE_MS / this.times.length);
    while (this.playing === turn) {
      this.k = (this.k + 1) % this.times.length;
      const next = new Promise((done) => setTimeout(done, wait));
      try {
        await this.onChange(this.k);
      } catch {
        this.stop();
      }
      await next;
    }
  }

  stop() {
    this.playing = null;
    this.#label("Play", false);
  }

  #label(text, pressed) {
    this.button.textContent = text;
    this.button.setAttribute("aria-pressed", String(pressed));
  }

  #tell() {
    byId("time-text").textContent = this.text;
    this.slider.setAttribute("aria-valuetext", this.text);
  }
}
