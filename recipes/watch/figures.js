"use strict";
// The figures that plotly.js draws: progress, scores against hyperparameters, and importance.

const CONFIG = { displayModeBar: false, displaylogo: false, responsive: false, doubleClick: "reset+autosize" };
const drawn = new Map();

// A figure is drawn again only if what it shows has changed, so that hover stays. Zoomed axes stay
// as they are until a double click.
function figure(id, inputs, traces, layout, events = {}) {
  const node = at(id);
  const width = Math.max(node.clientWidth, layout.minWidth || 0);
  const signature = JSON.stringify([width, mode(), inputs]);
  if (!node.clientWidth || drawn.get(id) === signature) return;
  const place = `${store.tab} ${store.stage}`;
  if (node.dataset.of !== place) node.zoomed = false;
  node.dataset.of = place;
  drawn.set(id, signature);
  const { minWidth, ...rest } = layout;
  if (node.zoomed) {
    for (const axis of Object.keys(rest).filter((name) => /^[xy]axis/.test(name) && node.layout[name])) {
      rest[axis] = { ...rest[axis], range: node.layout[axis].range, autorange: false };
    }
  }
  Plotly.react(node, traces(), frame({ width, ...rest }), CONFIG);
  if (node.dataset.listens) return;
  node.dataset.listens = "yes";
  node.on("plotly_relayout", (changes) => { if (Object.keys(changes).some((name) => name.includes(".range"))) node.zoomed = true; });
  node.on("plotly_doubleclick", () => { node.zoomed = false; drawn.delete(id); setTimeout(draw); });
  for (const [name, listener] of Object.entries(events)) node.on(name, listener);
}

function frame(layout) {
  const ink = css("ink");
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
    font: { family: "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif", size: 12, color: css("muted") },
    hovermode: "closest", uirevision: "kept",
    hoverlabel: { bgcolor: css("card"), bordercolor: css("rule"), font: { color: ink, size: 12 }, align: "left" },
    ...layout,
  };
}

function axisStyle(more) {
  return { gridcolor: css("rule"), linecolor: css("rule"), zeroline: false, automargin: true, ...more };
}

// Decades and, where there are few of them, 2 and 5 in between; written as numbers people use.
function logTicks(low, high) {
  const steps = Math.log10(high / low) > 3 ? [1] : Math.log10(high / low) > 1.2 ? [1, 3] : [1, 2, 5];
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const step of steps) {
      const value = Number(`${step}e${power}`);
      if (value >= low * 0.999 && value <= high * 1.001) found.push(value);
    }
  }
  const every = Math.ceil(found.length / 6);
  return found.filter((_, i) => i % every === 0);
}

function linearTicks(low, high, most = 5) {
  if (!(high > low)) return [low];
  const raw = (high - low) / most, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((f) => f * power).find((s) => s >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

// Scores of trials that have not ended are too low; a run that was interrupted may be meant to end there.
function scored(view) {
  const open = ["running", "waiting", "failed", "same", ...(view.collection.kind === "search" ? ["interrupted"] : [])];
  return view.runs.filter((run) => isNumber(run.score) && !open.includes(run.status));
}

// Very bad scores are drawn at the edge of the axis, so that good ones can be told apart.
function scoreRange(view, runs) {
  const scores = runs.map((run) => run.score);
  const up = view.collection.goal === "max";
  const lowest = Math.min(...scores), highest = Math.max(...scores);
  const { best, worst } = view.colors;
  const edge = worst - 0.35 * (best - worst);
  const clips = up ? edge > lowest + 0.25 * (best - worst) : edge < highest - 0.25 * (worst - best);
  const [low, high] = up ? [clips ? edge : lowest, highest] : [lowest, clips ? edge : highest];
  const pad = 0.06 * (high - low) || 0.01;
  return {
    low, high, clips, range: [low - pad, high + pad], edge: up ? low : high,
    of: (score) => Math.min(Math.max(score, low), high),
    symbol: (score) => (score < low ? "triangle-down" : score > high ? "triangle-up" : "circle"),
  };
}

function about(run, view) {
  const lines = [`<b>${literal(shortened(run.label, 60))}</b>`];
  if (isNumber(run.score)) lines.push(`${metricName(view.collection.by)} ${scoreText(run.score)}`);
  for (const axis of view.collection.axes.slice(0, 12)) {
    const value = view.valueOf(run, axis.name);
    if (value !== null && value !== undefined) lines.push(`${literal(shortened(axis.name, 30))}: ${literal(shortened(shown(value), 40))}`);
  }
  return lines.join("<br>");
}

function hasProgress(view) {
  return view.collection.kind === "search" && scored(view).some((run) => isNumber(run.ended));
}

function drawProgress(view) {
  const done = scored(view).filter((run) => isNumber(run.ended)).sort((a, b) => a.ended - b.ended);
  const failed = view.runs.filter((run) => run.status === "failed" && isNumber(run.ended));
  if (at("progress-card").hidden) return;
  const start = Math.min(...view.every.map((run) => run.started ?? run.ended).filter(isNumber));
  const last = Math.max(...done.map((run) => run.ended), ...failed.map((run) => run.ended));
  const [unit, name] = last - start > 7200 ? [3600, "hours"] : last - start > 180 ? [60, "minutes"] : [1, "seconds"];
  const when = (run) => (run.ended - start) / unit;
  const up = view.collection.goal === "max";
  const axis = scoreRange(view, done);
  const inputs = [view.collection.id, [...done, ...failed].map((run) => [run.key, run.score, run.ended])];
  figure("progress", inputs, () => {
    let best = null;
    const steps = { x: [], y: [] };
    for (const run of done) {
      if (best === null || (up ? run.score > best : run.score < best)) best = run.score;
      steps.x.push(when(run)); steps.y.push(best);
    }
    steps.x.push((last - start) / unit); steps.y.push(best);
    return [
      { ...steps, mode: "lines", line: { shape: "hv", color: css("accent"), width: 2 }, hoverinfo: "skip" },
      {
        x: done.map(when), y: done.map((run) => axis.of(run.score)), mode: "markers", customdata: done.map((run) => run.key),
        marker: { size: 8, symbol: done.map((run) => axis.symbol(run.score)), color: done.map((run) => view.colors.of(run.score)), line: { width: 1, color: css("card") } },
        text: done.map((run) => about(run, view)), hovertemplate: "%{text}<extra></extra>",
      },
      {
        x: failed.map(when), y: failed.map(() => axis.edge), mode: "markers", customdata: failed.map((run) => run.key),
        marker: { size: 8, symbol: "x-thin", line: { width: 2, color: css("bad") } },
        text: failed.map((run) => `<b>${literal(run.label)}</b><br>failed: ${literal(shortened(run.note || "", 60))}`),
        hovertemplate: "%{text}<extra></extra>",
      },
    ];
  }, {
    height: 260, margin: { l: 52, r: 12, t: 12, b: 42 },
    xaxis: axisStyle({ title: { text: `${name} since the start`, standoff: 8 }, rangemode: "tozero", showgrid: false }),
    yaxis: axisStyle({ title: { text: metricName(view.collection.by) }, range: axis.range }),
  }, { plotly_click: clicked });
}

function clicked(event) {
  const key = event.points[0] && event.points[0].customdata;
  if (key) openRun(key);
}

function drawScatter(view) {
  const runs = scored(view);
  const axes = usedAxes(view, runs);
  if (at("scatter-card").hidden) return;
  const width = at("scatter").clientWidth;
  const columns = Math.max(1, Math.min(axes.length, Math.floor(width / 215)));
  const rows = Math.ceil(axes.length / columns);
  const inputs = [view.collection.id, view.brushed ? [...view.brushed] : null, axes, runs.map((run) => [run.key, run.score, axes.map((axis) => view.valueOf(run, axis.name))])];
  // Many names of choices are slanted, which needs more space below the axis.
  const isCrowded = (axis) => axis.kind === "choice" && axis.values.length * 40 > width / columns - 30;
  const below = axes.some(isCrowded) ? 88 : 54, tall = 134 + below;
  const layout = { height: tall * rows + 8, margin: { l: 52, r: 14, t: 8, b: 0 }, dragmode: "zoom", annotations: [] };
  const traces = [];
  const range = scoreRange(view, runs);
  axes.forEach((axis, i) => {
    const own = runs.filter((run) => (view.valueOf(run, axis.name) ?? null) !== null);
    const suffix = i ? String(i + 1) : "";
    const column = i % columns, row = Math.floor(i / columns);
    const gap = 0.16 / columns;
    const left = column / columns + (column ? gap / 2 : 0), right = (column + 1) / columns - (column < columns - 1 ? gap / 2 : 0);
    const top = 1 - row / rows, high = 134 / (tall * rows);
    const values = own.map((run) => view.valueOf(run, axis.name));
    let x = values;
    const ofAxis = axisStyle({ anchor: `y${suffix}`, domain: [left, right], title: { text: literal(shortened(label(axis.name), 26)), standoff: 4, font: { color: css("ink"), size: 12 } }, automargin: false });
    if (axis.kind === "choice") {
      const scale = scaleOf(axis, values);
      const names = scale.ticks.map(([name]) => name);
      const seen = new Map();
      x = values.map((value) => {
        const place = seen.get(value) || 0;
        seen.set(value, place + 1);
        return names.indexOf(value) + 0.5 * ((place * 0.618) % 1) - 0.25;
      });
      const slant = isCrowded(axis);
      const room = slant ? 9 : Math.max(5, Math.floor(width / columns / names.length / 7));
      const every = slant ? Math.ceil(names.length / Math.floor(width / columns / 13)) : 1;
      Object.assign(ofAxis, { tickangle: slant ? -60 : 0, tickvals: names.map((_, j) => j).filter((j) => j % every === 0), ticktext: names.map((name) => literal(shortened(name, room))).filter((_, j) => j % every === 0), range: [-0.5, names.length - 0.5], showgrid: false });
    } else if (axis.log) {
      const known = values.filter(isNumber);
      const low = Math.min(axis.low, ...known), high = Math.max(axis.high, ...known);
      const ticks = logTicks(low, high);
      const pad = 0.04 * Math.log10(high / low) || 0.3;
      Object.assign(ofAxis, { type: "log", range: [Math.log10(low) - pad, Math.log10(high) + pad], showgrid: false, tickvals: ticks.length > 1 ? ticks : [low, high], ticktext: (ticks.length > 1 ? ticks : [low, high]).map((tick) => shown(tick)) });
    } else {
      Object.assign(ofAxis, { nticks: 5, showgrid: false });
    }
    layout[`xaxis${suffix}`] = ofAxis;
    layout[`yaxis${suffix}`] = axisStyle({ anchor: `x${suffix}`, domain: [top - high, top], matches: i ? "y" : undefined, showticklabels: column === 0, automargin: false, nticks: 5, range: range.range });
    const dim = (run) => view.brushed && !view.brushed.has(run.key);
    traces.push({
      x, y: own.map((run) => range.of(run.score)), xaxis: `x${suffix}`, yaxis: `y${suffix}`, mode: "markers",
      customdata: own.map((run) => run.key), text: own.map((run) => about(run, view)), hovertemplate: "%{text}<extra></extra>",
      marker: { size: own.length > 80 ? 6 : 8, symbol: own.map((run) => range.symbol(run.score)), color: own.map((run) => (dim(run) ? css("rule") : view.colors.of(run.score))), line: { width: 0.7, color: css("card") } },
    });
  });
  at("scatter-about").hidden = !range.clips;
  at("scatter-about").textContent = `Triangles are scores beyond the axis, which ends at ${shown(range.edge, 3)}.`;
  at("scatter-title").textContent = `${capital(metricName(view.collection.by))} against each hyperparameter`;
  figure("scatter", inputs, () => traces, layout, { plotly_click: clicked });
}

// Network options are recognized without their prefix.
function label(name) {
  return name.replace(/^options\./, "");
}

function usedAxes(view, runs) {
  return view.collection.axes.filter((axis) => runs.some((run) => (view.valueOf(run, axis.name) ?? null) !== null));
}

// It also decides how the cards of importance and of the scores share the row, so it is drawn first.
function drawImportance(view) {
  const rows = [...view.collection.importance].sort((a, b) => a.value - b.value).slice(-14);
  const runs = scored(view);
  at("importance-card").hidden = !rows.length;
  at("scatter-card").hidden = runs.length < 3 || !usedAxes(view, runs).length;
  at("effects").hidden = at("importance-card").hidden && at("scatter-card").hidden;
  at("effects").classList.toggle("alone", at("importance-card").hidden || at("scatter-card").hidden);
  if (!rows.length) return;
  at("importance-about").textContent = rows.some((row) => isNumber(row.error))
    ? "Share of the differences between scores that a hyperparameter explains, alone or together with others, and its standard deviation"
      + (view.collection.alive ? ", estimated from the trials so far." : ".") : "";
  const names = rows.map((row) => literal(shortened(label(row.name), 20)));
  figure("importance", [view.collection.id, rows], () => [{
    type: "bar", orientation: "h", x: rows.map((row) => row.value), y: names.map((_, i) => i), marker: { color: css("accent") },
    error_x: { type: "data", array: rows.map((row) => row.error ?? 0), color: css("ink"), thickness: 1.3, width: 4, visible: true },
    hovertemplate: rows.map((row) => `${literal(row.name)}: ${shown(row.value, 3)}${isNumber(row.error) ? ` ± ${shown(row.error, 2)}` : ""}<extra></extra>`),
    width: 0.6,
  }], {
    height: 60 + 30 * rows.length, margin: { l: 60, r: 14, t: 6, b: 36 }, dragmode: false,
    xaxis: axisStyle({ rangemode: "tozero", fixedrange: true, nticks: 5, zeroline: true, zerolinecolor: css("muted") }),
    yaxis: axisStyle({ tickvals: names.map((_, i) => i), ticktext: names, fixedrange: true, showgrid: false, tickfont: { color: css("ink") }, range: [-0.6, names.length - 0.4] }),
  });
}
