// The full-order computation of one point: a job that is started, watched, cancelled, and shown.

import { ApiError } from "./api.js";
import { announce, byId } from "./dom.js";
import { number, percent } from "./words.js";

const FIRST_MS = 200;
const LONGEST_MS = 2000;
const ENDED = ["done", "failed", "cancelled"];

export class Truth {
  /** @param {(truth: object) => void} onDone gets { mu, errors, quantities, frames } */
  constructor(api, onDone) {
    this.api = api;
    this.onDone = onDone;
    byId("truth-cancel").addEventListener("click", () => this.#cancel());
  }

  setModel(model) {
    this.model = model;
    this.job = null;
    this.#show(null);
    byId("truth").disabled = !model.jobs;
    byId("truth-text").textContent = model.jobs
      ? "Run the full-order simulation at this point, and see it beside the reduced model."
      : "This service runs no full-order simulations.";
  }

  /** Compute the truth at a point; returns when it has ended. */
  async compute(mu, indicator) {
    const { model } = this;
    byId("truth").disabled = true;
    try {
      let job = await this.api.compare(model.name, model.version, mu);
      this.job = job.job;
      for (let wait = FIRST_MS; !ENDED.includes(job.state); wait = Math.min(LONGEST_MS, 1.3 * wait)) {
        this.#show(job);
        await new Promise((done) => setTimeout(done, wait));
        job = await this.api.job(job.job);
        if (this.model !== model) return;
      }
      await this.#end(job, mu, indicator);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.model === model) this.#say(error.message);
    } finally {
      if (this.model === model) {
        this.#show(null);
        byId("truth").disabled = !model.jobs;
      }
    }
  }

  async #cancel() {
    if (!this.job) return;
    byId("truth-cancel").disabled = true;
    try {
      await this.api.cancel(this.job);
    } catch (error) {
      this.#say(error.message);
    }
  }

  async #end(job, mu, indicator) {
    if (job.state !== "done") {
      this.#say(job.state === "failed" ? `It failed: ${job.message}` : "It was cancelled.");
      return;
    }
    const frames = await this.#frames(job);
    const { errors = {}, quantities = {} } = job.result;
    // Null: the simulation has no such number.
    const known = Object.entries(quantities).filter(([, values]) => values !== null);
    const level = job.result.level_used ? ` Level used: ${job.result.level_used}.` : "";
    this.#say(verdict(job.result, job.result.indicator ?? indicator) + level);
    this.onDone({ mu, errors, quantities: Object.fromEntries(known.map(([n, v]) => [n, [v].flat()])), frames });
  }

  /** Frames by field, lists over time. */
  async #frames(job) {
    const fields = this.model.card.fields.filter((f) => job.arrays.includes(f.name));
    const entries = fields.map(async ({ name, size }) => {
      const { data } = await this.api.jobArray(job.job, name);
      const count = data.length / size;
      return [name, Array.from({ length: count }, (_, k) => data.subarray(k * size, (k + 1) * size))];
    });
    return Object.fromEntries(await Promise.all(entries));
  }

  #show(job) {
    byId("truth-run").hidden = byId("truth-cancel").hidden = !job;
    byId("truth-cancel").disabled = false;
    if (!job) return;
    const part = Math.round(100 * job.progress);
    byId("truth-bar").value = job.progress;
    byId("truth-state").textContent = `${job.state}, ${number(part)} %${job.message ? `: ${job.message}` : ""}`;
  }

  #say(text) {
    byId("truth-text").textContent = text;
    announce(text);
  }
}

/** What the truth says about the model: its error, and whether the indicator has told it. */
function verdict({ error, errors = {} }, indicator) {
  const each = Object.entries(errors).map(([name, e]) => `${name} ${percent(e)}`).join(", ");
  if (error === undefined) return each ? `True relative error: ${each}.` : "The truth was computed.";
  const held = error <= indicator ? "it held" : "it was exceeded";
  return `True relative error: ${percent(error)}${each && ` (${each})`}. The indicator said at most ${percent(indicator)}: ${held}.`;
}
