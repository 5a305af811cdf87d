// Answers of one model: numbers, and fields of which the last ones are kept.

// Numbers of a trajectory that is fetched as a whole, and numbers that are kept: 4 bytes each.
const WHOLE = 4_000_000;
const KEPT = 24_000_000;

export class Answers {
  constructor(api, model) {
    this.api = api;
    this.model = model;
    this.kept = new Map();
  }

  get times() {
    return this.model.times;
  }

  /** Quantities of interest by name, lists over time, trust, and the level of the model that was used. */
  async quantities(mu, signal) {
    const body = { ...this.#question(mu), select: "quantities" };
    const { values, trust, level_used: level } = await this.api.query(this.model.name, body, signal);
    const first = Object.entries(values).map(([name, rows]) => [name, rows[0]]);
    return { values: Object.fromEntries(first), trust, level };
  }

  /** The frames of a field that are there, by time; the others are undefined. */
  known(mu, field) {
    return this.kept.get(keyOf(mu, field)) ?? [];
  }

  /** One frame; with `all`, the whole trajectory is fetched unless it is too large. */
  async frame(mu, field, k, { signal, all = false } = {}) {
    const found = this.#touch(keyOf(mu, field));
    if (found[k] && !(all && found.includes(undefined))) return found[k];
    const size = this.#size(field);
    const whole = all && size * this.times.length <= WHOLE;
    const times = whole ? this.times : [this.times[k]];
    const body = { ...this.#question(mu), select: { kind: "fields", names: [field] }, time: times };
    const { data } = await this.api.queryArray(this.model.name, body, signal);
    times.forEach((_, i) => (found[whole ? i : k] = data.subarray(i * size, (i + 1) * size)));
    this.#forget();
    return found[k];
  }

  #question(mu) {
    return { mu, version: this.model.version };
  }

  #size(field) {
    return this.model.card.fields.find((f) => f.name === field).size;
  }

  #touch(key) {
    const found = this.kept.get(key) ?? new Array(this.times.length).fill(undefined);
    this.kept.delete(key);
    this.kept.set(key, found);
    return found;
  }

  #forget() {
    const held = (frames) => frames.reduce((sum, f) => sum + (f?.length ?? 0), 0);
    let total = [...this.kept.values()].reduce((sum, frames) => sum + held(frames), 0);
    for (const [key, frames] of this.kept) {
      if (total <= KEPT || this.kept.size < 4) return;
      total -= held(frames);
      this.kept.delete(key);
    }
  }
}

const keyOf = (mu, field) => JSON.stringify([field, ...Object.entries(mu).sort()]);
