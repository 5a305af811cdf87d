// Curves over time, by the library that the service brings with it.

const COLOURS = ["--line-1", "--line-2", "--line-3"];
const DASHES = ["solid", "dash", "dot"];

let loading = null;

function library() {
  loading ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = "plotly.min.js";
    script.onload = () => done(globalThis.Plotly);
    script.onerror = () => {
      loading = null;
      failed(new Error("The library for curves could not be loaded."));
    };
    document.head.append(script);
  });
  return loading;
}

/** Draw series [{ label, times, values }] of one quantity, and a line at a time. */
export async function drawCurve(place, { name, unit, series, time }) {
  const plotly = await library();
  const style = getComputedStyle(document.documentElement);
  const colour = (key) => style.getPropertyValue(key).trim();
  const axis = { gridcolor: colour("--grid"), zerolinecolor: colour("--grid"), linecolor: colour("--grid"), automargin: true };
  const traces = series.map(({ label, times, values, index }) => ({
    type: "scatter", mode: "lines", name: label, x: times, y: values,
    line: { color: colour(COLOURS[index]), width: 2, dash: DASHES[index] },
    hovertemplate: `%{y:.5g} ${unit}<extra>${label}, %{x:.4g} s</extra>`,
  }));
  const layout = {
    height: 250,
    margin: { l: 56, r: 12, t: series.length > 1 ? 28 : 10, b: 44 },
    font: { family: "system-ui, sans-serif", size: 13, color: colour("--ink") },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    xaxis: { ...axis, title: { text: "time in s" } },
    yaxis: { ...axis, title: { text: unit ? `${name} in ${unit}` : name } },
    showlegend: series.length > 1,
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    shapes: [{ type: "line", x0: time, x1: time, yref: "paper", y0: 0, y1: 1, line: { color: colour("--ink"), width: 1, dash: "dot" } }],
  };
  const config = { displaylogo: false, responsive: true, displayModeBar: false };
  return plotly.react(place, traces, layout, config);
}
