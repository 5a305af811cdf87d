// Draws a field on triangles pixel by pixel, for browsers without WebGL. The same picture.

export class CanvasPainter {
  constructor(canvas) {
    this.context = canvas.getContext("2d");
  }

  /** See `WebGlPainter.draw`. */
  draw({ mesh, frame, range, table, camera, size: [width, height], ratio }) {
    const image = this.context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const colours = new Uint32Array(table.buffer, table.byteOffset, 256);
    const factor = 255 / (range[1] - range[0]);
    const colourOf = (v) => colours[Math.min(255, Math.max(0, Math.round((v - range[0]) * factor)))];
    const s = camera.scale(width / ratio, height / ratio) * ratio;
    const [cx, cy] = camera.centre;
    const count = mesh.points.length / 2;
    const xs = new Float64Array(count);
    const ys = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      xs[i] = width / 2 + (mesh.points[2 * i] - cx) * s;
      ys[i] = height / 2 - (mesh.points[2 * i + 1] - cy) * s;
    }
    for (let i = 0; i < mesh.cells.length; i += 3) {
      fill(pixels, width, height, xs, ys, frame, mesh.cells.subarray(i, i + 3), colourOf);
    }
    this.context.putImageData(image, 0, 0);
  }

  close() {}
}

function fill(pixels, width, height, xs, ys, frame, [a, b, c], colourOf) {
  const [ax, ay, bx, by, cx, cy] = [xs[a], ys[a], xs[b], ys[b], xs[c], ys[c]];
  const area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay);
  if (!area) return;
  const left = Math.max(0, Math.ceil(Math.min(ax, bx, cx) - 0.5));
  const right = Math.min(width - 1, Math.floor(Math.max(ax, bx, cx) - 0.5));
  const top = Math.max(0, Math.ceil(Math.min(ay, by, cy) - 0.5));
  const bottom = Math.min(height - 1, Math.floor(Math.max(ay, by, cy) - 0.5));
  const vx = (cy - ay) / area;
  const wx = -(by - ay) / area;
  const [fa, fb, fc] = [frame[a], frame[b], frame[c]];
  for (let y = top; y <= bottom; y++) {
    const dy = y + 0.5 - ay;
    let v = ((left + 0.5 - ax) * (cy - ay) - (cx - ax) * dy) / area;
    let w = ((bx - ax) * dy - (left + 0.5 - ax) * (by - ay)) / area;
    for (let x = left; x <= right; x++, v += vx, w += wx) {
      // A little beyond the edges: neighbours leave no gap.
      if (v >= -1e-6 && w >= -1e-6 && v + w <= 1.000001) {
        pixels[y * width + x] = colourOf(fa + v * (fb - fa) + w * (fc - fa));
      }
    }
  }
}
