"use strict";
// Parallel coordinates, and the selection of trials on one of their axes.

const MOST_LINES = 300; // which are drawn as SVG

// Positions on an axis of parallel coordinates: numbers from 0 to 1, and the ticks.
function scaleOf(axis, values) {
  if (axis.kind === "choice") {
    const names = [...axis.values];
    for (const value of values) if (value !== null && !names.includes(value)) names.push(value);
    const count = names.length || 1;
    return {
      choice: true, count, at: (value) => (names.indexOf(value) + 0.5) / count,
      ticks: names.map((name, i) => [name, (i + 0.5) / count]),
    };
  }
  const known = values.filter(isNumber);
  let low = Math.min(axis.low, ...known), high = Math.max(axis.high, ...known);
  const log = axis.log && low > 0;
  if (low === high) { low = log ? low / 2 : low - 1; high = log ? high * 2 : high + 1; }
  const on = log ? Math.log : (x) => x;
  const place = (value) => (on(value) - on(low)) / (on(high) - on(low));
  const ticks = (log ? logTicks(low, high) : linearTicks(low, high)).map((value) => [shown(value), place(value)]);
  if (log && ticks.length < 2) ticks.splice(0, ticks.length, [shown(low), 0], [shown(high), 1]);
  return { choice: false, count: 0, at: place, ticks };
}

function drawParallel(view) {
  const runs = scored(view);
  const axes = view.collection.axes;
  const needed = view.collection.kind === "search" ? 1 : 3;
  at("parallel-card").hidden = runs.length < Math.max(needed, 2) || axes.length < 2;
  if (at("parallel-card").hidden) return;
  at("parallel-about").textContent = `Each line is a ${noun(view)}, colored by its score. Drag over an axis to select ${noun(view)}s; click a line to open its ${noun(view)}.`;
  const sign = view.collection.goal === "max" ? 1 : -1;
  const ordered = [...runs].sort((a, b) => sign * (a.score - b.score)).slice(-MOST_LINES);
  if (ordered.length < runs.length) at("parallel-about").textContent += ` Only the best ${MOST_LINES} are drawn.`;
  const range = scoreRange(view, ordered);
  const score = { name: metricName(view.collection.by), kind: "number", log: false, low: range.low, high: range.high };
  const columns = [...axes, score];
  const value = (run, i) => (i === axes.length ? range.of(run.score) : view.valueOf(run, axes[i].name) ?? null);
  const scales = columns.map((axis, i) => scaleOf(axis, ordered.map((run) => value(run, i))));
  const missing = columns.map((_, i) => ordered.some((run) => value(run, i) === null));
  // Lines through the same choice are spread, in the order of their scores, so that they stay visible.
  const spread = columns.map((_, i) => {
    const groups = new Map();
    ordered.forEach((run) => {
      const name = value(run, i);
      groups.set(name, [...(groups.get(name) || []), run.key]);
    });
    return groups;
  });
  const y = (run, i) => {
    const own = value(run, i);
    const group = spread[i].get(own);
    const share = group.length > 1 ? group.indexOf(run.key) / (group.length - 1) - 0.5 : 0;
    if (own === null) return -0.17 + 0.04 * share;
    return scales[i].at(own) + (scales[i].choice ? (0.62 * share) / scales[i].count : 0);
  };
  const dim = (run) => view.brushed && !view.brushed.has(run.key);
  const inputs = [view.collection.id, view.brushed ? [...view.brushed] : null, columns,
    ordered.map((run) => [run.key, run.score, axes.map((_, i) => value(run, i))])];
  const longest = scales.map((scale) => Math.max(...scale.ticks.map(([text]) => text.length)));
  const minWidth = 110 * columns.length;
  const labels = [];
  columns.forEach((axis, i) => {
    labels.push({ x: i, y: 1.03, yanchor: "bottom", text: i === axes.length ? axis.name.replace(" ", "<br>") : literal(shortened(label(axis.name), 16)), font: { color: css("ink"), size: 12 }, hovertext: literal(axis.name) });
    const ticks = scales[i].ticks.length > 14 ? scales[i].ticks.filter((_, j) => j % Math.ceil(scales[i].ticks.length / 14) === 0) : scales[i].ticks;
    for (const [text, place] of ticks) {
      labels.push({ x: i, y: place, xanchor: i === axes.length ? "left" : "right", xshift: i === axes.length ? 7 : -7, text: literal(shortened(text, 13)), font: { size: 11, color: css("ink") }, hovertext: literal(text), bgcolor: css("card"), opacity: 0.88, borderpad: 0 });
    }
    if (missing[i]) labels.push({ x: i, y: -0.17, xanchor: "right", xshift: -7, text: "not used", font: { size: 11, color: css("muted") } });
  });
  figure("parallel", inputs, () => ordered.map((run) => ({
    x: columns.map((_, i) => i), y: columns.map((_, i) => y(run, i)), mode: "lines+markers",
    customdata: columns.map(() => run.key), text: columns.map(() => about(run, view)), hovertemplate: "%{text}<extra></extra>",
    line: { color: dim(run) ? css("rule") : view.colors.of(run.score), width: dim(run) ? 0.8 : 1.6 },
    marker: { size: 4, color: dim(run) ? css("rule") : view.colors.of(run.score) },
    opacity: dim(run) ? 0.5 : 0.85, selected: { marker: { opacity: 1 } }, unselected: { marker: { opacity: 1 } },
  })), {
    minWidth, height: 370, margin: { l: 20 + 7 * Math.min(longest[0], 13), r: 64, t: 48, b: 10 },
    dragmode: "select", selectdirection: "v",
    newselection: { line: { color: css("accent"), width: 1, dash: "solid" } },
    xaxis: { range: [-0.05, columns.length - 0.95], fixedrange: true, visible: false },
    yaxis: { range: [missing.some(Boolean) ? -0.22 : -0.04, 1.04], fixedrange: true, visible: false },
    shapes: columns.map((_, i) => ({ type: "line", x0: i, x1: i, y0: 0, y1: 1, line: { color: css("muted"), width: 1 }, layer: "below" })),
    annotations: labels.map((label) => ({ showarrow: false, ...label })),
  }, {
    plotly_click: clicked,
    plotly_selecting: (event) => event && rememberBrush(event, false),
    plotly_selected: (event) => rememberBrush(event, true),
    plotly_deselect: () => brush(null),
  });
}

// A selection box spans the whole width, so its axis is the one where the drag began.
let brushAxis = null;
document.addEventListener("mousedown", (event) => {
  const node = at("parallel");
  if (!node || !node.contains(event.target) || !node._fullLayout) return;
  const axis = node._fullLayout.xaxis;
  brushAxis = Math.round(axis.p2d(event.clientX - node.getBoundingClientRect().left - axis._offset));
}, true);

function rememberBrush(event, finished) {
  if (!finished || !event || !event.range) return;
  const [low, high] = [...event.range.y].sort((a, b) => a - b);
  const node = at("parallel");
  const keys = node.data.filter((trace) => trace.y[brushAxis] >= low && trace.y[brushAxis] <= high)
    .map((trace) => trace.customdata[0]);
  Plotly.relayout(node, { selections: [] });
  brush(keys.length ? new Set(keys) : null);
}
