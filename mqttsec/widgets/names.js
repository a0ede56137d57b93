// Gives each slider of a panel its label as accessible name: ipywidgets' handles have none.
function nameSliders(panel) {
  for (const slider of panel.querySelectorAll(".widget-slider")) {
    const label = slider.querySelector(".widget-label")?.textContent.trim();
    for (const part of slider.querySelectorAll(".noUi-handle, .widget-readout")) {
      if (label && part.getAttribute("aria-label") !== label) part.setAttribute("aria-label", label);
    }
  }
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
