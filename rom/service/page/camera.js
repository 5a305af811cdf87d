// Which part of a plane is seen: shared by all pictures that stand beside each other.

const MOST = 200;
const MARGIN = 8;

export class Camera {
  constructor(box) {
    this.box = box;
    this.whole();
  }

  /** Show everything. */
  whole() {
    this.zoom = 1;
    this.centre = [0, 1].map((i) => (this.box.low[i] + this.box.high[i]) / 2);
  }

  get isWhole() {
    return this.zoom === 1;
  }

  /** Pixels per metre in a picture of this size. */
  scale(width, height) {
    const [w, h] = [0, 1].map((i) => this.box.high[i] - this.box.low[i] || 1);
    return this.zoom * Math.min((width - 2 * MARGIN) / w, (height - 2 * MARGIN) / h);
  }

  /** Position of a pixel; y points up in the plane and down in the picture. */
  position(px, py, width, height) {
    const s = this.scale(width, height);
    return [this.centre[0] + (px - width / 2) / s, this.centre[1] - (py - height / 2) / s];
  }

  /** Pixel of a position. */
  pixel(x, y, width, height) {
    const s = this.scale(width, height);
    return [width / 2 + (x - this.centre[0]) * s, height / 2 - (y - this.centre[1]) * s];
  }

  /** Zoom by a factor; the position under a pixel stays there. */
  zoomAt(factor, px, py, width, height) {
    const [x, y] = this.position(px, py, width, height);
    this.zoom = Math.min(MOST, Math.max(1, this.zoom * factor));
    if (this.isWhole) {
      this.whole();
      return;
    }
    const s = this.scale(width, height);
    this.#look(x - (px - width / 2) / s, y + (py - height / 2) / s);
  }

  /** Move by pixels. */
  move(dx, dy, width, height) {
    if (this.isWhole) return;
    const s = this.scale(width, height);
    this.#look(this.centre[0] - dx / s, this.centre[1] + dy / s);
  }

  /** Never look away from the mesh. */
  #look(x, y) {
    const { low, high } = this.box;
    this.centre = [x, y].map((v, i) => Math.min(high[i], Math.max(low[i], v)));
  }
}
