// A plane mesh of triangles, and where in it a position is.

export class Mesh {
  /** @param points flat (n, 2); @param cells flat (m, 3) */
  constructor(points, cells) {
    this.points = points;
    this.cells = cells;
    this.box = boxOf(points);
    this.border = borderOf(cells, points.length / 2);
    this.#sort();
  }

  /** Place of a position: { corners, weights }, or null outside. */
  locate(x, y) {
    const { low, high } = this.box;
    if (x < low[0] || x > high[0] || y < low[1] || y > high[1]) return null;
    const bucket = this.#bucket(x, y);
    for (let i = this.starts[bucket]; i < this.starts[bucket + 1]; i++) {
      const found = this.#inside(this.sorted[i], x, y);
      if (found) return found;
    }
    return null;
  }

  #inside(cell, x, y) {
    const corners = this.cells.subarray(3 * cell, 3 * cell + 3);
    const [ax, ay, bx, by, cx, cy] = [...corners].flatMap((c) => [this.points[2 * c], this.points[2 * c + 1]]);
    const area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay);
    const v = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) / area;
    const w = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) / area;
    const slack = -1e-9;
    return v >= slack && w >= slack && v + w <= 1 - slack ? { corners, weights: [1 - v - w, v, w] } : null;
  }

  #column(x) {
    const { low, high } = this.box;
    return Math.min(this.side - 1, Math.max(0, Math.floor((this.side * (x - low[0])) / (high[0] - low[0] || 1))));
  }

  #row(y) {
    const { low, high } = this.box;
    return Math.min(this.side - 1, Math.max(0, Math.floor((this.side * (y - low[1])) / (high[1] - low[1] || 1))));
  }

  #bucket(x, y) {
    return this.#row(y) * this.side + this.#column(x);
  }

  /** Sort the cells into buckets of a regular grid; a cell may be in several. */
  #sort() {
    const count = this.cells.length / 3;
    this.side = Math.max(1, Math.min(512, Math.ceil(Math.sqrt(count / 2))));
    this.starts = new Int32Array(this.side * this.side + 1);
    this.#eachBucket((bucket) => this.starts[bucket + 1]++);
    for (let i = 0; i < this.side * this.side; i++) this.starts[i + 1] += this.starts[i];
    this.sorted = new Int32Array(this.starts.at(-1));
    const next = this.starts.slice();
    this.#eachBucket((bucket, cell) => (this.sorted[next[bucket]++] = cell));
  }

  #eachBucket(visit) {
    const { points, cells } = this;
    for (let i = 0; i < cells.length; i += 3) {
      const [a, b, c] = [2 * cells[i], 2 * cells[i + 1], 2 * cells[i + 2]];
      const left = this.#column(Math.min(points[a], points[b], points[c]));
      const right = this.#column(Math.max(points[a], points[b], points[c]));
      const low = this.#row(Math.min(points[a + 1], points[b + 1], points[c + 1]));
      const high = this.#row(Math.max(points[a + 1], points[b + 1], points[c + 1]));
      for (let row = low; row <= high; row++) {
        for (let column = left; column <= right; column++) visit(row * this.side + column, i / 3);
      }
    }
  }
}

/** The value of a frame at a place. */
export function valueIn(frame, { corners, weights }) {
  return weights[0] * frame[corners[0]] + weights[1] * frame[corners[1]] + weights[2] * frame[corners[2]];
}

/** Edges that belong to one triangle only, as pairs of corners. */
function borderOf(cells, count) {
  const keys = new Float64Array(cells.length);
  for (let i = 0; i < cells.length; i++) {
    const a = cells[i];
    const b = cells[i % 3 === 2 ? i - 2 : i + 1];
    keys[i] = a < b ? a * count + b : b * count + a;
  }
  keys.sort();
  const single = keys.filter((key, i) => key !== keys[i - 1] && key !== keys[i + 1]);
  return Int32Array.from({ length: 2 * single.length }, (_, i) => {
    const key = single[i >> 1];
    return i % 2 ? key % count : Math.floor(key / count);
  });
}

function boxOf(points) {
  const low = [Infinity, Infinity];
  const high = [-Infinity, -Infinity];
  for (let i = 0; i < points.length; i++) {
    if (points[i] < low[i % 2]) low[i % 2] = points[i];
    if (points[i] > high[i % 2]) high[i % 2] = points[i];
  }
  return { low, high };
}
