// One picture of a field: caption, triangles, probe, scale, colour bar.

import { ColourBar } from "./colourbar.js";
import { make } from "./dom.js";
import { follow } from "./gestures.js";
import { CanvasPainter } from "./painter_canvas.js";
import { WebGlPainter } from "./painter_webgl.js";
import { ticks } from "./scales.js";
import { number } from "./words.js";

// Finer pixels than these are not seen, but drawn.
const FINEST = 2;

export class Panel {
  /** @param to what gestures do, see `follow` */
  constructor(to) {
    this.title = make("span", { class: "panel-title" });
    this.subtitle = make("span", { class: "hint" });
    this.area = make("div", {
      class: "picture", tabindex: "0", role: "application", "aria-roledescription": "picture of a field",
      "aria-describedby": "field-help",
    });
    this.over = make("canvas", { class: "over", "aria-hidden": "true" });
    this.bar = new ColourBar();
    this.element = make(
      "figure", { class: "panel" },
      make("figcaption", {}, this.title, " ", this.subtitle), this.area, this.bar.element,
    );
    follow(this.area, to);
    this.#start(true);
  }

  get size() {
    return [this.area.clientWidth, this.area.clientHeight];
  }

  /** Draw what `scene.js` says: mesh, frame, range, table, camera, probe, texts. */
  draw(content) {
    this.content = content;
    this.title.textContent = content.title;
    this.subtitle.textContent = content.subtitle;
    this.area.setAttribute("aria-label", content.label);
    this.area.classList.toggle("zoomed", !content.camera.isWhole);
    const [width, height] = this.size;
    if (!width || !height) return;
    const ratio = Math.min(FINEST, window.devicePixelRatio || 1);
    const size = [Math.round(width * ratio), Math.round(height * ratio)];
    for (const canvas of [this.canvas, this.over]) {
      if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    }
    // Where all values are equal they have the middle colour.
    const [low, high] = content.range;
    const range = high > low ? content.range : [low - 1, high + 1];
    this.painter.draw({ ...content, range, size, ratio });
    this.#overlay(ratio, width, height);
    this.bar.show(content.table, content.range, content.name, content.unit, width);
  }

  close() {
    this.painter.close();
  }

  #start(webgl) {
    this.canvas = make("canvas", { class: "field", "aria-hidden": "true" });
    const found = webgl ? WebGlPainter.on(this.canvas) : null;
    this.painter = found ?? new CanvasPainter(this.canvas);
    this.area.dataset.painter = found ? "webgl" : "canvas";
    this.area.replaceChildren(this.canvas, this.over);
    this.canvas.addEventListener("webglcontextlost", () => {
      // The graphics card was taken away: go on without it.
      if (!this.area.isConnected) return;
      this.#start(false);
      if (this.content) this.draw(this.content);
    });
  }

  #overlay(ratio, width, height) {
    const context = this.over.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const style = getComputedStyle(this.area);
    this.#border(context, style.color, width, height);
    this.#ruler(context, style.color, style.backgroundColor, width, height);
    if (this.content.probe) this.#probe(context, width, height);
  }

  /** Holes would look like values otherwise. */
  #border(context, ink, width, height) {
    const { mesh, camera } = this.content;
    const at = (i) => camera.pixel(mesh.points[2 * i], mesh.points[2 * i + 1], width, height);
    context.strokeStyle = ink;
    context.globalAlpha = 0.6;
    context.beginPath();
    for (let i = 0; i < mesh.border.length; i += 2) {
      context.moveTo(...at(mesh.border[i]));
      context.lineTo(...at(mesh.border[i + 1]));
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  #ruler(context, ink, ground, width, height) {
    const { step } = ticks(0, 60 / this.content.camera.scale(width, height), 1);
    const length = step * this.content.camera.scale(width, height);
    const text = `${number(step)} m`;
    if (length > width - 20) return;
    context.font = "12px system-ui, sans-serif";
    const [x, y] = [8, height - 8];
    context.globalAlpha = 0.85;
    context.fillStyle = ground;
    context.fillRect(x - 4, y - 20, Math.max(length, context.measureText(text).width) + 8, 25);
    context.globalAlpha = 1;
    context.strokeStyle = context.fillStyle = ink;
    context.beginPath();
    for (const [px, py] of [[x, y - 4], [x, y], [x + length, y], [x + length, y - 4]]) context.lineTo(px, py);
    context.stroke();
    context.fillText(text, x, y - 7);
  }

  #probe(context, width, height) {
    const [x, y] = this.content.camera.pixel(...this.content.probe, width, height);
    for (const [colour, line] of [["#000", 4], ["#fff", 2]]) {
      context.strokeStyle = colour;
      context.lineWidth = line;
      context.beginPath();
      context.arc(x, y, 6, 0, 2 * Math.PI);
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + 6 * dx, y + 6 * dy);
        context.lineTo(x + 11 * dx, y + 11 * dy);
      }
      context.stroke();
    }
    context.lineWidth = 1;
  }
}
