// Smallest and largest value of frames, remembered for each of them.

const seen = new WeakMap();

/** [low, high] of one frame. */
export function extremes(frame) {
  let found = seen.get(frame);
  if (!found) {
    found = [Infinity, -Infinity];
    for (const v of frame) {
      if (v < found[0]) found[0] = v;
      if (v > found[1]) found[1] = v;
    }
    seen.set(frame, found);
  }
  return found;
}

/** [low, high] of several frames, some of which may be undefined. */
export function hull(frames) {
  const all = frames.filter(Boolean).map(extremes);
  return [Math.min(...all.map((r) => r[0])), Math.max(...all.map((r) => r[1]))];
}

/** The difference of two frames. */
export function minus(a, b) {
  return a.map((v, i) => v - b[i]);
}

/** Largest difference between frames of two trajectories, where both are known. */
export function largestGap(first, second) {
  let largest = 0;
  first.forEach((a, k) => {
    const b = second[k];
    if (!a || !b) return;
    for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  });
  return largest;
}
