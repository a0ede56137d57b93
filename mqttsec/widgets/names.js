// Mends what ipywidgets leaves out for those who use a panel without a mouse or without eyes: handles of
// sliders get their label as name, their numbers are no tab stops, and a line that says what happens is read.
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

function render({ el }) {
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
    watch = new MutationObserver(() => nameSliders(panel));
    watch.observe(panel, { childList: true, subtree: true });
  };
  begin();
  return () => {
    cancelAnimationFrame(frame);
    watch?.disconnect();
  };
}

export default { render };
