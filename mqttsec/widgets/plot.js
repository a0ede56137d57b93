// A plotly figure in the page: drawn from the model's state, points appended as they come.
// plotly.js comes once per page, from the installed package, in the model that `source` names.

const LOADING = Symbol.for("mqttsec.plotly");
const KNOWN = (globalThis[Symbol.for("mqttsec.plots")] ??= new Map());
// By `ident`: front ends give `initialize` and `render` different objects for one model.

async function text(packed) {
  const bytes = new Response(packed).body.pipeThrough(new DecompressionStream("gzip"));
  return new Response(bytes).text();
}

function plotly(model) {
  // One promise for all views of the page: the first one loads, the others wait for it.
  globalThis[LOADING] ??= (async () => {
    const id = model.get("source").replace("IPY_MODEL_", "");
    const source = await model.widget_manager.get_model(id);
    const module = { exports: {} };
    new Function("module", "exports", await text(source.get("packed")))(module, module.exports);
    return module.exports;
  })();
  return globalThis[LOADING];
}

// The state of a model as this page knows it: `figure` with every point that came, and how many came.
function stateOf(model) {
  const figure = structuredClone(model.get("figure"));
  return { data: figure.data, layout: figure.layout, count: figure.count };
}

// The page's colours where an element stands; an element that is not in the page yet has none.
function colours(element) {
  const look = getComputedStyle(element);
  const of = (name, otherwise) => look.getPropertyValue(name).trim() || otherwise;
  return {
    ink: of("--jp-content-font-color1", look.color), line: of("--jp-border-color2", "#8886"),
    paper: of("--jp-layout-color1", "#fff"), family: of("--jp-ui-font-family", "system-ui, sans-serif"),
  };
}

function themed(layout, { ink, line, paper, family }) {
  const axis = { color: ink, gridcolor: line, linecolor: ink, zerolinecolor: line };
  const said = structuredClone(layout);
  for (const name of Object.keys({ xaxis: 0, yaxis: 0, ...said })) {
    if (/^[xy]axis\d*$/.test(name)) said[name] = { ...axis, ...said[name] };
  }
  for (const note of said.annotations ?? []) note.font = { color: ink, ...note.font };
  return {
    uirevision: "keep", paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: { bgcolor: paper, font: { color: ink } },
    ...said,
    font: { color: ink, family, size: 13, ...said.font },
  };
}

function initialize({ model }) {
  const state = stateOf(model);
  const drawings = new Set();
  const redraw = () => drawings.forEach((draw) => draw());
  model.on("change:figure", () => {
    Object.assign(state, stateOf(model));
    redraw();
  });
  model.on("msg:custom", (message, buffers) => {
    if (message.kind !== "points") return;
    if (message.before !== state.count) {
      // Some came before this page listened: the kernel has them all.
      if (message.before > state.count) model.send({ kind: "again" });
      return;
    }
    message.traces.forEach(([place, length], number) => {
      const buffer = buffers[number];
      const values = new Float64Array(buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength));
      const trace = state.data[place];
      trace.x = [...(trace.x ?? []), ...values.subarray(0, length)];
      trace.y = [...(trace.y ?? []), ...values.subarray(length)];
    });
    state.count = message.before + message.added;
    redraw();
  });
  KNOWN.set(model.get("ident"), { state, drawings });
  return () => KNOWN.delete(model.get("ident"));
}

async function render({ model, el }) {
  if (!KNOWN.has(model.get("ident"))) initialize({ model });
  const { state, drawings } = KNOWN.get(model.get("ident"));
  const box = document.createElement("div");
  box.className = "mqs-plot";
  box.setAttribute("role", "img");
  box.textContent = "loading the plot ...";
  el.append(box);
  const Plotly = await plotly(model);
  box.textContent = "";
  let busy = false;
  let again = false;
  let drawn = "";  // the colours it was drawn in
  async function draw() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      do {
        again = false;
        box.setAttribute("aria-label", model.get("description"));
        const look = colours(el);
        drawn = JSON.stringify(look);
        // Points that come while it draws are not in this drawing, nor in its count.
        const data = state.data.map((trace) => ({ ...trace }));
        await Plotly.react(box, data, themed(state.layout, look), { displayModeBar: false, responsive: false });
        box.dataset.points = data.reduce((sum, trace) => sum + (trace.x?.length ?? 0), 0);
      } while (again);
    } finally {
      busy = false;
    }
  }
  // A page that is being laid out has neither width nor colours yet; an output in a hidden tab gets them later.
  const sizes = new ResizeObserver(async () => {
    if (!box.clientWidth || !box.data) return;
    if (JSON.stringify(colours(el)) !== drawn) await draw();
    if (box.data) Plotly.Plots.resize(box);
  });
  const theme = new MutationObserver(draw);
  drawings.add(draw);
  await draw();
  sizes.observe(el);
  theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name", "class"] });
  return () => {
    drawings.delete(draw);
    sizes.disconnect();
    theme.disconnect();
    Plotly.purge(box);
  };
}

export default { initialize, render };
