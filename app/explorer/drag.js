/** Dragging chips from one card to the other, by mouse, pen or finger. */

const FAR = 5;

/**
 * Let a chip be dragged.
 * @param {HTMLElement} chip
 * @param {(element: Element | null) => Element | null} targetOf What a chip over an element would be dropped on, if anything.
 * @param {() => void} drop Told when it was dropped there.
 */
export function draggable(chip, targetOf, drop) {
  chip.addEventListener("pointerdown", (begin) => {
    if (begin.button > 0) return;
    let ghost = null;
    let target = null;
    const over = (event) => {
      if (!ghost && Math.hypot(event.clientX - begin.clientX, event.clientY - begin.clientY) < FAR) return;
      ghost ??= ghostOf(chip);
      ghost.style.setProperty("transform", `translate(${event.clientX}px, ${event.clientY}px) translate(-50%, -50%)`);
      const found = targetOf(document.elementFromPoint(event.clientX, event.clientY));
      if (found === target) return;
      target?.classList.remove("target");
      found?.classList.add("target");
      target = found;
    };
    const end = (event) => {
      for (const [name, listener] of listeners) removeEventListener(name, listener);
      target?.classList.remove("target");
      ghost?.remove();
      if (ghost && event.type === "pointerup") swallowClick(chip);
      if (ghost && event.type === "keydown") addEventListener("pointerup", () => swallowClick(chip), { once: true });
      if (target && event.type === "pointerup") drop();
    };
    const give = (event) => event.key === "Escape" && end(event);
    const listeners = [["pointermove", over], ["pointerup", end], ["pointercancel", end], ["keydown", give]];
    for (const [name, listener] of listeners) addEventListener(name, listener);
  });
}

/** @param {HTMLElement} chip */
function ghostOf(chip) {
  const ghost = /** @type {HTMLElement} */ (chip.cloneNode(true));
  ghost.classList.add("ghost");
  ghost.setAttribute("aria-hidden", "true");
  document.body.append(ghost);
  return ghost;
}

/** A chip that was dragged and let go over itself was not pressed. */
function swallowClick(chip) {
  const swallow = (event) => event.stopImmediatePropagation();
  chip.addEventListener("click", swallow, { capture: true, once: true });
  setTimeout(() => chip.removeEventListener("click", swallow, { capture: true }));
}
