// A body in space: its surface, turned, deformed and laid flat, so that it is drawn as plane meshes are.

import { Mesh } from "./mesh.js";

// Edges between faces that meet at more than this angle are drawn, degrees.
const SHARP = 30;
// The corners of the faces of a tetrahedron with a positive volume, seen from outside.
const FACES = [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]];

export class Solid {
  /** @param points flat (n, 3); @param cells flat (m, 4), tetrahedra with positive volumes */
  constructor(points, cells) {
    this.points = points;
    this.faces = surfaceOf(cells, points.length / 3);
    const { centre, radius } = sphereOf(points);
    this.centre = centre;
    this.radius = radius;
    const normals = normalsOf(this.faces, points);
    this.edges = edgesOf(this.faces, points.length / 3).map((edge) => ({ ...edge, sharp: isSharp(edge, normals) }));
  }

  /**
   * What is seen from a direction: a `Mesh` of the faces in front, those farther away first.
   *
   * @param azimuth, elevation of the one who looks, degrees
   * @param moved flat (n, 3), added to the positions; null: none
   */
  seen(azimuth, elevation, moved = null) {
    const { points, depths } = this.#turned(azimuth, elevation, moved);
    const front = this.faces.filter((f) => areaOf(f, points) > 0);
    const far = (f) => depths[f[0]] + depths[f[1]] + depths[f[2]];
    front.sort((f, g) => far(f) - far(g));
    return new Seen(this, points, front);
  }

  #turned(azimuth, elevation, moved) {
    const [a, e] = [azimuth, elevation].map((angle) => (angle * Math.PI) / 180);
    const right = [-Math.sin(a), Math.cos(a), 0];
    const up = [-Math.sin(e) * Math.cos(a), -Math.sin(e) * Math.sin(a), Math.cos(e)];
    const near = [Math.cos(e) * Math.cos(a), Math.cos(e) * Math.sin(a), Math.sin(e)];
    const count = this.points.length / 3;
    const points = new Float64Array(2 * count);
    const depths = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      const at = [0, 1, 2].map((j) => this.points[3 * i + j] - this.centre[j] + (moved ? moved[3 * i + j] : 0));
      points[2 * i] = dot(at, right);
      points[2 * i + 1] = dot(at, up);
      depths[i] = dot(at, near);
    }
    return { points, depths };
  }
}

/** A body from one side, with all that a plane `Mesh` offers. */
class Seen {
  constructor(solid, points, front) {
    this.solid = solid;
    this.points = points;
    this.cells = Int32Array.from(front.flat());
    // Places are looked for among the nearest faces first.
    this.picked = new Mesh(points, Int32Array.from(front.slice().reverse().flat()));
    const r = solid.radius;
    this.box = { low: [-r, -r], high: [r, r] };
    const visible = new Set(front);
    const drawn = solid.edges.filter(({ faces, sharp }) => {
      const count = faces.filter((f) => visible.has(f)).length;
      return count === 1 || (count === 2 && sharp);
    });
    this.border = Int32Array.from(drawn.flatMap(({ a, b }) => [a, b]));
  }

  /** Place of a position in the picture, on the nearest face: { corners, weights }, or null. */
  locate(x, y) {
    return this.picked.locate(x, y);
  }

  /** Position in space of a place, undeformed. */
  where({ corners, weights }) {
    return [0, 1, 2].map((j) => weights.reduce((sum, w, i) => sum + w * this.solid.points[3 * corners[i] + j], 0));
  }
}

const dot = (p, q) => p[0] * q[0] + p[1] * q[1] + p[2] * q[2];

function areaOf([a, b, c], p) {
  return (p[2 * b] - p[2 * a]) * (p[2 * c + 1] - p[2 * a + 1]) - (p[2 * c] - p[2 * a]) * (p[2 * b + 1] - p[2 * a + 1]);
}

/** Faces that belong to one tetrahedron only, as lists of three corners. */
function surfaceOf(cells, count) {
  const single = new Map();
  for (let i = 0; i < cells.length; i += 4) {
    for (const face of FACES) {
      const corners = face.map((j) => cells[i + j]);
      const [a, b, c] = corners.slice().sort((p, q) => p - q);
      const key = (a * count + b) * count + c;
      if (!single.delete(key)) single.set(key, corners);
    }
  }
  return [...single.values()];
}

/** Edges of faces: { a, b, faces }. */
function edgesOf(faces, count) {
  const found = new Map();
  for (const face of faces) {
    face.forEach((p, i) => {
      const q = face[(i + 1) % 3];
      const [a, b] = p < q ? [p, q] : [q, p];
      const key = a * count + b;
      if (!found.has(key)) found.set(key, { a, b, faces: [] });
      found.get(key).faces.push(face);
    });
  }
  return [...found.values()];
}

function normalsOf(faces, p) {
  return new Map(faces.map((face) => {
    const [o, u, v] = face.map((i) => [p[3 * i], p[3 * i + 1], p[3 * i + 2]]);
    const [x, y] = [u, v].map((corner) => corner.map((value, j) => value - o[j]));
    const normal = [x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]];
    const length = Math.sqrt(dot(normal, normal)) || 1;
    return [face, normal.map((value) => value / length)];
  }));
}

function isSharp({ faces }, normals) {
  if (faces.length !== 2) return true;
  return dot(normals.get(faces[0]), normals.get(faces[1])) < Math.cos((SHARP * Math.PI) / 180);
}

/** Middle of the box around points, and how far the farthest is. */
function sphereOf(points) {
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  for (let i = 0; i < points.length; i++) {
    if (points[i] < low[i % 3]) low[i % 3] = points[i];
    if (points[i] > high[i % 3]) high[i % 3] = points[i];
  }
  const centre = low.map((value, j) => (value + high[j]) / 2);
  let square = 0;
  for (let i = 0; i < points.length; i += 3) {
    const away = centre.map((value, j) => points[i + j] - value);
    square = Math.max(square, dot(away, away));
  }
  return { centre, radius: 1.12 * Math.sqrt(square) || 1 };
}
