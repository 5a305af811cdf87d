// Between values of a parameter and places on its slider.

export const STEPS = 1000;

const isLog = (parameter) => parameter.scale === "log" && parameter.low > 0;

/** The value at a place of the slider, 0 to STEPS. */
export function valueAt(parameter, place) {
  const { low, high } = parameter;
  if (place <= 0) return low;
  if (place >= STEPS) return high;
  const part = place / STEPS;
  const value = isLog(parameter) ? low * (high / low) ** part : low + part * (high - low);
  // Places are 1/1000 apart: digits beyond that say nothing.
  return Number(value.toPrecision(5));
}

/** The place of a value, inside 0 to STEPS. */
export function placeOf(parameter, value) {
  const { low, high } = parameter;
  const part = isLog(parameter)
    ? Math.log(Math.max(value, Number.MIN_VALUE) / low) / Math.log(high / low)
    : (value - low) / (high - low);
  return Math.round(STEPS * Math.min(1, Math.max(0, part)));
}

/** Values for an axis: at most about `count` of 1, 2 or 5 times a power of ten, and their step. */
export function ticks(low, high, count) {
  const raw = (high - low) / Math.max(1, count);
  if (!(raw > 0) || !Number.isFinite(raw)) return { step: 1, values: [low] };
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5].find((s) => s * power >= raw * (1 - 1e-9)) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  const values = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  return { step, values };
}
