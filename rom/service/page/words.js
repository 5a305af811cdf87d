// Numbers, units and points as text.

const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const MINUS = "−";

/** A number with so many significant digits, without zeros at its end. */
export function number(value, digits = 4) {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return "no number";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) {
    const [digitsPart, power] = value.toExponential(digits - 1).split("e");
    return `${trimmed(digitsPart)}e${Number(power)}`.replaceAll("-", MINUS);
  }
  return trimmed(value.toPrecision(digits).includes("e") ? String(Math.round(value)) : value.toPrecision(digits))
    .replace("-", MINUS);
}

const trimmed = (text) => (text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text);

/** Numbers of one scale, with the digits that tell neighbours apart. */
export function tickText(value, step) {
  const size = Math.max(Math.abs(value), Math.abs(step));
  if (size >= 1e6 || (size > 0 && size < 1e-4)) return number(value, 4);
  const decimals = Math.max(0, Math.min(8, -Math.floor(Math.log10(step) + 1e-9)));
  return value.toFixed(decimals).replace("-", MINUS).replace(/^−(0\.?0*)$/, "$1");
}

/** The number of a text that a person typed, or NaN. */
export function parsed(text) {
  const plain = text.trim().replace(MINUS, "-").replace(/^([+-]?\d*),(\d+)$/, "$1.$2");
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : NaN;
}

/** A unit with raised powers: "m s-2" becomes "m s⁻²"; the unit 1 is left out. */
export function unit(text) {
  if (!text || text === "1") return "";
  return text.replace(/(\p{L})(-?\d+)/gu, (_, letter, power) => letter + [...power].map((c) => RAISED[c]).join(""));
}

/** A number with its unit. */
export function withUnit(value, unitText, digits = 4) {
  const own = unit(unitText);
  return own ? `${number(value, digits)} ${own}` : number(value, digits);
}

/** A part of one as per cent, with the digits that matter. */
export function percent(part) {
  if (part > 10) return "more than 1000 %";
  return `${number(100 * part, part < 0.1 ? 2 : 3)} %`;
}

/** A parameter point in one line. */
export function pointText(parameters, mu) {
  return parameters.map((p) => `${p.name} ${withUnit(mu[p.name], p.unit)}`).join(", ");
}
