// What a model says about itself.

import { byId, make } from "./dom.js";
import { number, percent } from "./words.js";

/** Show description and lineage of a model. */
export function showAbout(model) {
  const { card } = model;
  byId("description").textContent = card.description || "No description.";
  const times = card.times.count > 1
    ? `${card.times.count} from ${number(card.times.first)} to ${number(card.times.last)} s`
    : "steady";
  byId("about-text").replaceChildren(
    list({
      made: card.created,
      training: `${card.training.trajectories} simulations, ${card.training.snapshots} snapshots`,
      times,
      fields: card.fields.map((f) => `${f.name} (${f.size} values)`).join(", "),
      basis: `${card.basis.rank} modes, projection error ${percent(card.basis.discarded)}`,
      reduction: card.kind === "structure" ? card.regression : null,
      indicator: `${card.trust.kind}, coverage ${percent(card.trust.coverage)} (measured ${percent(card.trust.measured_coverage)})`,
      "error of left-out simulations": `median ${percent(card.trust.median_error)}, largest ${percent(card.trust.largest_error)}`,
      lineage: card.lineage,
      software: card.versions,
      notes: card.notes.join("; ") || null,
      "SHA-256": model.digest,
    }),
  );
}

function list(entries) {
  const rows = Object.entries(entries).filter(([, value]) => value !== null && value !== "");
  return make("dl", {}, ...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, content(value))]));
}

function content(value) {
  if (Array.isArray(value)) return value.map((v) => (typeof v === "object" ? JSON.stringify(v) : v)).join(", ");
  if (value && typeof value === "object") return Object.keys(value).length ? list(value) : "–";
  return String(value);
}
