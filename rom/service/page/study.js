// One open model: from a change of its parameters to everything that the page shows.

import { Answers } from "./answers.js";
import { showAbout } from "./about.js";
import { BodyView } from "./body.js";
import { Controls } from "./controls.js";
import { announce, byId, fillSelect, showProblem } from "./dom.js";
import { offerDownloads } from "./downloads.js";
import { History } from "./history.js";
import { Latest } from "./latest.js";
import { writeLink } from "./link.js";
import { Mesh } from "./mesh.js";
import { Quantities } from "./quantities.js";
import { Scene } from "./scene.js";
import { Solid } from "./solid.js";
import { TimeBar } from "./timebar.js";
import { showNoAnswer, showTrust, trustText } from "./trust.js";
import { Truth } from "./truth.js";
import { percent, pointText } from "./words.js";

// A point is settled when nothing has changed for so long.
const SETTLED_MS = 350;

export class Study {
  constructor(api) {
    this.api = api;
    this.latest = new Latest();
    this.controls = new Controls(byId("parameters"), () => this.#moved());
    this.scene = new Scene(byId("panels"));
    this.body = new BodyView(() => guard(() => this.#paint()));
    this.time = new TimeBar((k) => this.#timeChanged(k));
    this.quantities = new Quantities();
    this.history = new History((mu) => this.goTo(mu));
    this.truth = new Truth(api, (found) => this.#truthFound(found));
    offerDownloads(api, () => ({ model: this.model, mu: this.mu, field: this.field }), () => this.scene.png(), guard);
    this.#connect();
  }

  get mu() {
    return this.controls.values;
  }

  get field() {
    return this.model.card.fields.find((f) => f.name === byId("field").value);
  }

  get view() {
    return document.querySelector("input[name=view]:checked").value;
  }

  /** Show a model, at the point of a link if there is one. */
  async open(model, link = {}) {
    this.latest.stop();
    clearTimeout(this.timer);
    this.model = model;
    this.answers = new Answers(this.api, model);
    this.meshes = new Map();
    this.kept = this.found = null;
    this.#answered(null);
    showAbout(model);
    this.controls.show(model.card.parameters);
    this.controls.values = link.mu ?? {};
    this.time.show(model.times);
    if (link.k !== null && link.k < model.times.length) this.time.k = link.k ?? this.time.k;
    this.quantities.setModel(model);
    this.truth.setModel(model);
    this.history.clear();
    fillSelect(byId("field"), model.card.fields.map((f) => [f.name, f.name]));
    if (model.card.fields.some((f) => f.name === link.field)) byId("field").value = link.field;
    byId("sheet").hidden = false;
    this.#showKept();
    this.#view("one");
    await this.#openField();
    this.#moved();
  }

  /** Go to a point. */
  goTo(mu) {
    this.controls.values = mu;
    this.#moved();
  }

  #connect() {
    const on = (id, kind, act) => byId(id).addEventListener(kind, act);
    on("centre", "click", () => {
      this.controls.centre();
      this.#moved();
    });
    on("field", "change", () => guard(() => this.#openField().then(() => this.#paint())));
    on("hold", "change", (event) => this.scene.setHold(event.target.checked));
    on("zoom-in", "click", () => this.scene.zoom(1.5));
    on("zoom-out", "click", () => this.scene.zoom(1 / 1.5));
    on("zoom-all", "click", () => this.scene.whole());
    on("keep", "click", () => this.#keep());
    on("swap", "click", () => this.goTo(this.kept.mu));
    on("forget", "click", () => {
      this.kept = null;
      this.#showKept();
      this.#choose("one");
    });
    on("truth", "click", () => guard(() => this.truth.compute(this.mu, this.now?.trust.indicator[0] ?? Infinity)));
    for (const radio of document.querySelectorAll("input[name=view]")) {
      radio.addEventListener("change", () => this.#choose(radio.value));
    }
  }

  /** Parameters have changed: ask, and when nothing more changes, remember the point. */
  #moved() {
    this.time.stop();
    if (this.view === "truth" && !same(this.mu, this.found.mu)) this.#view("one");
    this.latest.want((signal) => guard(() => this.#answer(signal)));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#settle(), SETTLED_MS);
  }

  #settle() {
    this.latest.want((signal) => guard(async () => {
      await this.#answer(signal, true);
      if (signal.aborted || !this.now) return;
      this.history.add(this.controls.free, this.now.mu, this.now.trust);
      announce(`${pointText(this.controls.free, this.now.mu)}: ${trustText(this.now.trust)}`);
      this.#link();
    }));
  }

  async #answer(signal, all = false) {
    const { mu, answers } = this;
    const [answer] = await Promise.all([answers.quantities(mu, signal), this.#paint({ signal, all })]).catch((error) => {
      if (error.name !== "AbortError") this.#unanswered();
      throw error;
    });
    if (signal.aborted || answers !== this.answers) return;
    this.#answered({ mu, ...answer });
    byId("pictures").classList.remove("stale");
    showProblem("");
    showTrust(answer.trust, this.model.card, answer.level);
    this.#tabulate();
  }

  /** Remember the answer of this point; without one there is nothing to keep. */
  #answered(now) {
    this.now = now;
    byId("keep").disabled = !now;
  }

  #unanswered() {
    this.#answered(null);
    byId("pictures").classList.add("stale");
    showNoAnswer();
  }

  #tabulate() {
    if (!this.now) return;
    const columns = [{ label: this.view === "truth" ? "Reduced model" : "This point", values: this.now.values }];
    if (this.view === "kept") columns.push({ label: "Kept point", values: this.kept.values });
    if (this.view === "truth") columns.push({ label: "Truth", values: this.found.quantities });
    this.quantities.show(columns, this.time.k);
  }

  async #timeChanged(k) {
    this.quantities.setTime(k);
    const all = Boolean(this.time.playing);
    await guard(() => this.#paint({ all }));
    if (!all) this.#link();
  }

  /** Fetch and draw the field that is chosen; `all`: with all its times. */
  async #paint({ signal, all = false } = {}) {
    if (!this.drawn) return;
    if (this.body.solid) await this.#turn({ signal, all });
    if (!this.drawn || signal?.aborted) return;
    this.scene.setSources(this.drawn, this.#sources());
    await this.scene.paint(this.time.k, this.time.text, { signal, all });
  }

  /** Look at the body as it is at this time, where it is alone. */
  async #turn(options) {
    const { answers, model, mu } = this;
    const frame = this.view === "one" ? (name) => answers.frame(mu, name, this.time.k, options) : null;
    const known = this.now?.values.largest_displacement ?? [0];
    const seen = await this.body.seen(frame, Math.max(...known));
    if (model === this.model && seen.solid === this.body.solid) this.scene.turn(seen);
  }

  #sources() {
    const { answers, drawn, view } = this;
    const ours = (title, mu) => ({
      title,
      subtitle: pointText(this.controls.free, mu),
      frame: (k, options) => answers.frame(mu, drawn.name, k, options),
      known: () => answers.known(mu, drawn.name),
    });
    if (view === "kept") return [ours("This point", this.mu), ours("Kept point", this.kept.mu)];
    if (view !== "truth") return [ours("This point", this.mu)];
    const frames = this.found.frames[drawn.name];
    const error = this.found.errors[drawn.name];
    const subtitle = error === undefined ? "" : `true relative error ${percent(error)}`;
    const truth = { title: "Truth", subtitle, frame: async (k) => frames[Math.min(k, frames.length - 1)], known: () => frames };
    return [ours("Reduced model", this.mu), truth];
  }

  /** Get the mesh of the chosen field, or say why there is no picture. */
  async #openField() {
    const { field, model } = this;
    const solid = model.card.kind === "structure";
    const words = solid ? "" : pictureless(model.mesh[field.location]);
    byId("field-words").hidden = !words;
    byId("field-words").textContent = words;
    byId("field-area").hidden = Boolean(words);
    byId("get-png").disabled = Boolean(words);
    this.drawn = null;
    if (words) return;
    const mesh = await this.#mesh(field.location);
    if (model !== this.model || field !== this.field) return;
    this.drawn = field;
    if (!solid && mesh !== this.scene.mesh) this.scene.setMesh(mesh);
    if (solid && mesh !== this.body.solid) this.scene.setMesh(mesh.seen(0, 0));
    this.body.show(solid ? mesh : null);
    const { low, high } = this.scene.mesh.box;
    byId("pictures").dataset.shape = high[0] - low[0] > 2 * (high[1] - low[1]) ? "wide" : "square";
    if (this.view === "truth" && !this.found.frames[field.name]) this.#view("one");
    this.#allowTruth();
  }

  async #mesh(location) {
    if (!this.meshes.has(location)) {
      const { name, version } = this.model;
      const parts = ["points", "cells"].map((part) => this.api.mesh(name, version, location, part));
      const [points, cells] = await Promise.all(parts);
      const Kind = this.model.card.kind === "structure" ? Solid : Mesh;
      this.meshes.set(location, new Kind(points.data, cells.data));
    }
    return this.meshes.get(location);
  }

  #keep() {
    this.kept = this.now;
    this.#showKept();
    announce("This point is kept.");
  }

  #showKept() {
    const { kept } = this;
    byId("kept-text").textContent = kept
      ? `Kept: ${pointText(this.controls.free, kept.mu)}.`
      : "Keep this point, move on, and see both beside each other.";
    byId("swap").disabled = byId("forget").disabled = !kept;
    document.querySelector("input[value=kept]").disabled = !kept;
    this.#allowTruth();
  }

  #truthFound(found) {
    this.found = found;
    this.#allowTruth();
    if (!this.drawn || found.frames[this.drawn.name]) this.#choose("truth");
  }

  #allowTruth() {
    const there = this.found && (!this.drawn || this.found.frames[this.drawn.name]);
    document.querySelector("input[value=truth]").disabled = !there;
  }

  /** Choose a view; that of the truth is at the point where it was computed. */
  #choose(view) {
    this.#view(view);
    if (view === "truth" && !same(this.mu, this.found.mu)) {
      this.controls.values = this.found.mu;
      this.#moved();
      return;
    }
    this.#tabulate();
    guard(() => this.#paint({ all: true }));
  }

  #view(view) {
    document.querySelector(`input[name=view][value=${view}]`).checked = true;
    byId("pictures").dataset.view = view;
  }

  #link() {
    const { model, time } = this;
    writeLink({ model: model.name, version: model.version, field: this.field.name, k: time.k, mu: this.mu });
  }
}

/** Run a task; show its errors, but for those of tasks that were given up. */
export async function guard(task) {
  try {
    await task();
  } catch (error) {
    if (error.name === "AbortError") return;
    showProblem(error.message);
    if (!error.status && error.type === undefined) console.error(error);
  }
}

function pictureless(mesh) {
  if (!mesh || mesh.points === null || mesh.cells === null) {
    return "This field comes without a mesh, so there is no picture of it. Its values can be downloaded below.";
  }
  if (mesh.dimension === 2) return "";
  return `This field lives in ${mesh.dimension === 3 ? "space" : "one dimension"}; this page draws fields on plane meshes. ` +
    "Download it for ParaView below; the quantities of interest and the trust are shown here.";
}

const same = (a, b) => Object.keys(a).every((name) => a[name] === b[name]);
