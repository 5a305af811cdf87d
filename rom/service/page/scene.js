// The pictures of one field: one, or two beside each other and their difference.

import { Camera } from "./camera.js";
import { diverging, sequential } from "./colours.js";
import { announce, byId, make } from "./dom.js";
import { valueIn } from "./mesh.js";
import { Panel } from "./panel.js";
import { hull, largestGap, minus } from "./ranges.js";
import { withUnit } from "./words.js";

const ZOOM = 1.4;

export class Scene {
  constructor(place) {
    this.place = place;
    this.panels = [];
    this.sources = [];
    this.token = 0;
    this.hold = false;
    this.range = null;
    this.tables = { values: sequential(), gap: diverging() };
    new ResizeObserver(() => this.redraw()).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
  }

  /** Show another mesh, from its middle. */
  setMesh(mesh) {
    this.mesh = mesh;
    this.camera = new Camera(mesh.box);
    this.probe = null;
    this.shown = null;
    const [w, h] = [0, 1].map((i) => mesh.box.high[i] - mesh.box.low[i] || 1);
    this.place.style.setProperty("--shape", String(Math.min(6, Math.max(0.6, w / h))));
  }

  /** Show the same body from another side, or deformed; camera and probe stay. */
  turn(mesh) {
    this.mesh = mesh;
  }

  /**
   * Say what is shown: `field` { name, unit }, and one or two sources { title, subtitle,
   * frame(k, options), known() }.
   */
  setSources(field, sources) {
    if (field !== this.field && !this.hold) this.range = null;
    this.field = field;
    this.sources = sources;
    this.#count(sources.length === 2 ? 3 : sources.length);
  }

  /** Hold the range of colours that is shown, or follow the values again. */
  setHold(hold) {
    this.hold = hold;
    if (!hold) this.#compose();
  }

  /** Fetch and draw output time k. */
  async paint(k, time, options = {}) {
    const token = ++this.token;
    const { sources, field } = this;
    const frames = await Promise.all(sources.map((s) => s.frame(k, options)));
    if (token !== this.token || options.signal?.aborted) return;
    this.shown = { frames, sources, field, time };
    this.#compose();
  }

  redraw() {
    if (this.pending || !this.shown) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.contents?.forEach((content, i) => this.panels[i]?.draw({ ...content, probe: this.probe }));
      this.#tellProbe();
    });
  }

  zoom(factor = ZOOM, px = null, py = null) {
    const [width, height] = this.panels[0].size;
    this.camera.zoomAt(factor, px ?? width / 2, py ?? height / 2, width, height);
    this.redraw();
  }

  whole() {
    this.camera.whole();
    this.redraw();
  }

  /** The pictures as one PNG. */
  async png() {
    const canvases = this.panels.map((p) => p.canvas);
    const width = canvases.reduce((sum, c) => sum + c.width, 0);
    const sheet = make("canvas", { width, height: Math.max(...canvases.map((c) => c.height)) });
    const context = sheet.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, sheet.height);
    let x = 0;
    for (const canvas of canvases) {
      context.drawImage(canvas, x, 0);
      x += canvas.width;
    }
    return new Promise((done) => sheet.toBlob(done, "image/png"));
  }

  #count(count) {
    while (this.panels.length > count) {
      const panel = this.panels.pop();
      panel.element.remove();
      panel.close();
    }
    while (this.panels.length < count) {
      const panel = new Panel(this.#gestures());
      this.panels.push(panel);
      this.place.append(panel.element);
    }
    this.place.dataset.count = count;
  }

  #compose() {
    if (!this.shown) return;
    const { frames, sources, field, time } = this.shown;
    if (!this.hold || !this.range) {
      this.range = hull([...frames, ...sources.flatMap((s) => s.known())]);
    }
    const common = { mesh: this.mesh, camera: this.camera, unit: field.unit };
    this.contents = sources.map((source, i) => ({
      ...common,
      ...source,
      frame: frames[i],
      range: this.range,
      table: this.tables.values,
      name: field.name,
      label: described(source.title, field, frames[i], time),
    }));
    if (sources.length === 2) this.contents.push({ ...common, ...this.#gap(frames, sources, field, time) });
    this.redraw();
  }

  #gap(frames, sources, field, time) {
    const frame = minus(frames[0], frames[1]);
    const known = largestGap(...sources.map((s) => s.known()));
    const largest = Math.max(known, ...hull([frame]).map(Math.abs));
    const title = "Difference";
    return {
      frame,
      title,
      subtitle: sources.map((s) => s.title.toLowerCase()).join(" minus "),
      range: [-largest, largest],
      table: this.tables.gap,
      name: `difference of ${field.name}`,
      label: described(title, field, frame, time),
    };
  }

  #gestures() {
    return {
      canPan: () => !this.camera.isWhole,
      pan: (dx, dy) => {
        this.camera.move(dx, dy, ...this.panels[0].size);
        this.redraw();
      },
      zoom: (factor, px, py) => this.zoom(factor, px, py),
      whole: () => this.whole(),
      point: (px, py) => {
        this.probe = this.camera.position(px, py, ...this.panels[0].size);
        this.redraw();
      },
      step: (dx, dy) => this.#step(dx, dy),
    };
  }

  #step(dx, dy) {
    const size = this.panels[0].size;
    const from = this.probe ?? this.camera.centre;
    const [px, py] = this.camera.pixel(...from, ...size);
    this.probe = this.probe ? this.camera.position(px + dx, py + dy, ...size) : from;
    this.redraw();
    announce(this.#probeText());
  }

  #tellProbe() {
    byId("probe").textContent = this.#probeText();
  }

  #probeText() {
    if (!this.shown) return "";
    if (!this.probe) return `${spread(this.shown)} Point at the picture for the value at a place.`;
    const [x, y] = this.probe;
    const place = this.mesh.locate(x, y);
    const position = place && this.mesh.where ? this.mesh.where(place) : [x, y];
    const where = `At ${position.map((v, i) => `${"xyz"[i]} ${withUnit(v, "m", 3)}`).join(", ")}`;
    if (!place) return this.mesh.where ? "Outside the body." : `${where}: outside the mesh.`;
    const { frames, sources, field } = this.shown;
    const values = frames.map((f) => valueIn(f, place));
    const texts = values.map((v, i) => `${sources[i].title.toLowerCase()} ${withUnit(v, field.unit, 5)}`);
    if (values.length === 1) return `${where}: ${field.name} ${withUnit(values[0], field.unit, 5)}.`;
    return `${where}: ${texts.join(", ")}, difference ${withUnit(values[0] - values[1], field.unit, 3)}.`;
  }
}

function spread({ frames, field }) {
  const [low, high] = hull(frames).map((v) => withUnit(v, field.unit));
  return `From ${low} to ${high}.`;
}

function described(title, field, frame, time) {
  const [low, high] = hull([frame]);
  const when = time ? ` at ${time}` : "";
  return `${title}: ${field.name}${when}, from ${withUnit(low, field.unit)} to ${withUnit(high, field.unit)}`;
}
