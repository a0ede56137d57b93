// Mends what ipywidgets leaves out for those who use a panel without a mouse or without eyes: handles of
// sliders get their label as name, their numbers are no tab stops, a line that says what happens is read, the
// arrow keys of a list or a slider are its own, and a button that can be pressed no more hands on the focus.
function nameSliders(panel) {
  for (const slider of panel.querySelectorAll(".widget-slider")) {
    const label = slider.querySelector(".widget-label")?.textContent.trim();
    for (const part of slider.querySelectorAll(".noUi-handle, .widget-readout")) {
      if (label && part.getAttribute("aria-label") !== label) part.setAttribute("aria-label", label);
    }
    for (const number of slider.querySelectorAll(".widget-readout")) {
      number.setAttribute("role", "textbox");
      number.tabIndex = -1; // the arrow keys on the handle do the same
    }
  }
  for (const said of panel.querySelectorAll(".mqs-said")) said.setAttribute("role", "status");
}

// JupyterLab takes plain keys before the page does: an arrow in a list would go to the next cell, an x cut
// the cell. Keys with a modifier stay its own, so that Shift-Enter runs the cell also after a click.
function keepPlainKeys(event) {
  if (!event.target.closest?.(".mqs-panel")) return;
  const plain = !(event.shiftKey || event.ctrlKey || event.altKey || event.metaKey || event.key === "Escape");
  event.target.toggleAttribute("data-lm-suppress-shortcuts", plain);
}

// A browser forgets where the reader was when a button is disabled: the next one that can be pressed has it.
function handOn(panel, last) {
  if (!last?.disabled || ![document.body, last].includes(document.activeElement)) return;
  const buttons = [...panel.querySelectorAll("button")];
  const from = buttons.indexOf(last);
  if (from >= 0) [...buttons.slice(from), ...buttons].find((button) => !button.disabled)?.focus();
}

function render({ el }) {
  // The same function is registered once, however many panels there are. The window comes before JupyterLab.
  const keys = (globalThis[Symbol.for("mqttsec.keys")] ??= keepPlainKeys);
  window.addEventListener("keydown", keys, { capture: true });
  let watch = null;
  let frame = 0;
  const begin = () => {
    // The view is made before it has its place in the page.
    const panel = el.closest(".mqs-panel");
    if (!panel) {
      frame = requestAnimationFrame(begin);
      return;
    }
    nameSliders(panel);
    let last = null;
    panel.addEventListener("focusin", (event) => { last = event.target; });
    watch = new MutationObserver(() => {
      nameSliders(panel);
      handOn(panel, last);
    });
    watch.observe(panel, { childList: true, subtree: true, attributes: true, attributeFilter: ["disabled"] });
  };
  begin();
  return () => {
    cancelAnimationFrame(frame);
    watch?.disconnect();
  };
}

export default { render };
