// Colour maps that are uniform to the eye, made in the space OKLab (Ottosson 2020): equal steps of
// a value are equal steps of colour. `sequential` grows lighter all the way, so that it is read
// without telling colours apart; `diverging` is lightest at its middle.

const SIZE = 256;
const FINE = 2048;

/** Red, green, blue (0 to 1, gamma encoded) of lightness L and the colour axes a, b. */
function rgb([L, a, b]) {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((v) => (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055));
}

/** OKLab of lightness, chroma and hue in degrees. */
function polar(L, chroma, hue) {
  const angle = (hue * Math.PI) / 180;
  return [L, chroma * Math.cos(angle), chroma * Math.sin(angle)];
}

const distance = (p, q) => Math.hypot(...p.map((v, i) => v - q[i]));

/** Points at equal distances along a path. */
function evenly(path, count) {
  const fine = Array.from({ length: FINE + 1 }, (_, i) => path(i / FINE));
  const lengths = [0];
  for (let i = 1; i <= FINE; i++) lengths.push(lengths[i - 1] + distance(fine[i], fine[i - 1]));
  let place = 0;
  return Array.from({ length: count }, (_, i) => {
    const wanted = (lengths[FINE] * i) / (count - 1);
    while (place < FINE && lengths[place] < wanted) place++;
    return fine[place];
  });
}

function table(labs) {
  const bytes = new Uint8Array(4 * labs.length).fill(255);
  labs.forEach((lab, i) => rgb(lab).forEach((v, c) => (bytes[4 * i + c] = Math.round(255 * Math.min(1, Math.max(0, v))))));
  return bytes;
}

/** Bytes (256, 4) from dark violet over green to light yellow. */
export function sequential() {
  // The largest smooth chroma that a screen shows everywhere: a kink would be seen as an edge.
  const chroma = (t) => 0.09 + 0.035 * ((t - 0.42) / 0.58) ** 2;
  return table(evenly((t) => polar(0.24 + 0.7 * t, chroma(t), 300 - 200 * t), SIZE));
}

/** Bytes (256, 4) from blue over near white to orange. */
export function diverging() {
  const middle = [0.965, 0, 0];
  const ends = [polar(0.42, 0.14, 258), polar(0.52, 0.15, 45)];
  const half = (end) => (t) => end.map((v, i) => v + (middle[i] - v) * t);
  const [left, right] = ends.map((end) => evenly(half(end), SIZE / 2));
  return table([...left, ...right.reverse()]);
}
