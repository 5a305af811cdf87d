// What hands do to a picture: move, zoom, and point at a place.

const STEP = 1.3;

/**
 * Follow pointer, wheel and keys of a picture.
 *
 * `to` takes `pan(dx, dy)`, `zoom(factor, px, py)` (place null: the middle), `whole()`,
 * `point(px, py)` and `step(dx, dy)`, all in pixels of the picture; `canPan()` tells whether a
 * drag moves the view.
 */
export function follow(element, to) {
  const pointers = new Map();
  let moved = 0;

  const place = (event) => {
    const box = element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    moved = 0;
  });

  element.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    const now = place(event);
    if (!before) {
      if (event.pointerType === "mouse") to.point(...now);
      return;
    }
    const other = [...pointers.entries()].find(([id]) => id !== event.pointerId)?.[1];
    pointers.set(event.pointerId, now);
    moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (other) {
      const factor = apart(now, other) / Math.max(1, apart(before, other));
      to.zoom(factor, (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else if (to.canPan()) {
      to.pan(now[0] - before[0], now[1] - before[1]);
    }
  });

  const end = (event) => {
    if (pointers.delete(event.pointerId) && event.type === "pointerup" && moved < 5) to.point(...place(event));
  };
  element.addEventListener("pointerup", end);
  element.addEventListener("pointercancel", end);

  element.addEventListener(
    "wheel",
    (event) => {
      // Until the picture was clicked, the wheel scrolls the page.
      if (!event.ctrlKey && document.activeElement !== element) return;
      event.preventDefault();
      to.zoom(Math.exp(-event.deltaY * 0.0015), ...place(event));
    },
    { passive: false },
  );

  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (pressed(event, to)) event.preventDefault();
  });
}

const apart = (p, q) => Math.hypot(p[0] - q[0], p[1] - q[1]);

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function pressed(event, to) {
  const arrow = ARROWS[event.key];
  if (arrow && event.shiftKey) to.pan(-30 * arrow[0], -30 * arrow[1]);
  else if (arrow) to.step(10 * arrow[0], 10 * arrow[1]);
  else if (event.key === "+" || event.key === "=") to.zoom(STEP, null, null);
  else if (event.key === "-") to.zoom(1 / STEP, null, null);
  else if (event.key === "0" || event.key === "Home") to.whole();
  else return false;
  return true;
}
