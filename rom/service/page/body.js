// How a body in space is looked at: from where, and whether deformed.

import { byId } from "./dom.js";
import { number } from "./words.js";

// The largest displacement is drawn as about this part of the body's radius.
const SHOWN = 0.12;
const METRES = 1e-3; // per mm, in which displacements come
const NAMES = ["displacement_x", "displacement_y", "displacement_z"];

export class BodyView {
  /** @param {() => void} onChange is told when another picture is wanted */
  constructor(onChange) {
    this.solid = null;
    for (const id of ["azimuth", "elevation"]) byId(id).addEventListener("input", onChange);
    byId("deformed").addEventListener("change", onChange);
  }

  /** Look at a body; null: at a plane mesh, which needs no direction. */
  show(solid) {
    this.solid = solid;
    byId("body-tools").hidden = !solid;
  }

  /**
   * What is seen now.
   *
   * @param frame async, gives the values of a field at the time that is shown; null where two
   *     pictures are compared: they share the undeformed shape
   * @param largest of the displacements over all times, mm; 0 if it is not known
   */
  async seen(frame, largest) {
    const { solid } = this;
    const angles = ["azimuth", "elevation"].map((id) => byId(id).valueAsNumber);
    const wanted = frame && byId("deformed").checked;
    byId("deformed").disabled = !frame;
    const parts = wanted ? await Promise.all(NAMES.map(frame)) : null;
    const factor = parts ? factorOf(solid, parts, largest) : 0;
    byId("factor").textContent = factor ? `displacements × ${number(factor)}` : "undeformed";
    return solid.seen(...angles, factor ? moved(parts, factor * METRES) : null);
  }
}

function factorOf(solid, parts, largest) {
  const size = largest || parts.reduce((most, part) => part.reduce((m, v) => Math.max(m, Math.abs(v)), most), 0);
  return size > 0 ? rounded((SHOWN * solid.radius) / (size * METRES)) : 0;
}

function moved(parts, factor) {
  const found = new Float64Array(3 * parts[0].length);
  parts.forEach((part, j) => part.forEach((value, i) => (found[3 * i + j] = factor * value)));
  return found;
}

/** The largest of 1, 2 and 5 times a power of ten up to a number. */
function rounded(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([5, 2, 1].find((digit) => digit * power <= value * (1 + 1e-9)) ?? 1);
}
