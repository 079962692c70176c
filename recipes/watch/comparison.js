"use strict";
// Several runs on the same axes, and what differs between their recipes.

const DEFAULT_COMPARED = 5, MOST_BY_DEFAULT = 12, MOST_COMPARED = 40;
const QUIET = ["checkpoint_every", "keep_checkpoints", "rollbacks", "rollback_factor", "stats_every", "loss_every"];

function comparedRuns(view) {
  const able = view.runs.filter((run) => run.status !== "same");
  const chosen = able.filter((run) => store.ticked.has(run.key));
  if (chosen.length || store.untouched === false) return chosen.slice(0, MOST_COMPARED);
  if (view.collection.kind !== "search" && able.length <= MOST_BY_DEFAULT) return able;
  return inOrder(able.filter((run) => run.epochs > 0), view, "best").slice(0, DEFAULT_COMPARED);
}

function drawComparison(view) {
  const runs = comparedRuns(view);
  const controls = at("compare-controls");
  controls.replaceChildren(
    el("span", { class: "muted" }, store.untouched && view.runs.length > runs.length && runs.some((run) => isNumber(run.score)) ? `the best ${runs.length}; tick others in the table` : plural(runs.length, noun(view))),
    el("button", { type: "button", class: "plain", onclick: () => { store.ticked.clear(); store.untouched = true; draw(); }, hidden: store.untouched }, "Reset"),
  );
  at("compare").hidden = at("differences").hidden = !runs.length;
  at("compare-card").hidden = !runs.length && store.untouched;
  if (!runs.length) return;
  const width = at("compare").clientWidth;
  const two = width > 620;
  const charts = [["loss", "Training loss"], ["val_loss", "Validation loss"], ["accuracy", "Training accuracy"], ["val_accuracy", "Validation accuracy"]]
    .filter(([name]) => runs.some((run) => (run.curves[name] || []).some(isNumber)));
  if (charts.length) {
    const layout = comparisonLayout(runs, charts, two);
    const inputs = [view.collection.id, two, runs.map((run) => [run.key, run.label, run.curves])];
    figure("compare", inputs, () => charts.flatMap(([name], i) => runs.map((run, place) => {
      const { color, dash } = seriesColor(place);
      const suffix = i ? String(i + 1) : "";
      return {
        x: run.curves.epoch || [], y: run.curves[name] || [], xaxis: `x${suffix}`, yaxis: `y${suffix}`,
        mode: (run.curves.epoch || []).length > 1 ? "lines" : "markers", line: { color, dash, width: 1.8 },
        marker: { color }, customdata: (run.curves.epoch || []).map(() => run.key),
        hovertemplate: `${literal(shortened(run.label, 50))}<br>epoch %{x}: %{y:.4g}<extra></extra>`,
      };
    })), layout, { plotly_click: clicked });
  } else {
    at("compare").hidden = true;
  }
  at("differences").replaceChildren(differenceTable(view, runs));
}

function comparisonLayout(runs, charts, two) {
  const rows = two ? Math.ceil(charts.length / 2) : charts.length;
  const layout = { height: 235 * rows + 20, margin: { l: 50, r: 12, t: 26, b: 40 }, annotations: [] };
  charts.forEach(([name, title], i) => {
    const suffix = i ? String(i + 1) : "";
    const row = two ? Math.floor(i / 2) : i, column = two ? i % 2 : 0;
    const gap = 54 / (235 * rows);
    const top = 1 - row / rows - (row ? gap / 2 : 0), bottom = 1 - (row + 1) / rows + (row < rows - 1 ? gap / 2 : 0);
    const side = two ? (column ? [0.54, 1] : [0, 0.46]) : [0, 1];
    layout[`xaxis${suffix}`] = axisStyle({ domain: side, anchor: `y${suffix}`, matches: i ? "x" : undefined, showgrid: false, automargin: false, ...epochTicks(runs), title: row === rows - 1 || (two && i + 2 >= charts.length) ? { text: "epoch", standoff: 6 } : undefined });
    layout[`yaxis${suffix}`] = axisStyle({ domain: [bottom, top], anchor: `x${suffix}`, automargin: false, ...lossScale(runs, name) });
    layout.annotations.push({ text: title, showarrow: false, xref: "paper", yref: "paper", x: side[0], y: top, xanchor: "left", yanchor: "bottom", font: { size: 12.5, color: css("ink") } });
  });
  return layout;
}

// Half epochs do not exist.
function epochTicks(runs) {
  const epochs = Math.max(1, ...runs.map((run) => run.epochs));
  return epochs <= 10 ? { dtick: 1, tick0: 1, range: [1 - 0.04 * (epochs - 1 || 1), epochs + 0.04 * (epochs - 1 || 1)] } : {};
}

function lossScale(runs, name) {
  if (!name.endsWith("loss")) return {};
  const values = runs.flatMap((run) => run.curves[name] || []).filter(isNumber).sort((a, b) => a - b);
  const low = values[0], most = values[values.length - 1], high = Math.min(most, highestLoss(runs, [name]));
  if (low > 0 && high > 20 * low) {
    const ticks = logTicks(low, high);
    const range = [Math.log10(low) - 0.05, Math.log10(high) + 0.05];
    return { type: "log", range, tickvals: ticks, ticktext: ticks.map((tick) => shown(tick)) };
  }
  return high < most ? { range: [low - 0.05 * (high - low), high] } : {};
}

function differingFields(runs) {
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.recipe)))];
  const valueOf = (run, name) => (name in run.recipe ? run.recipe[name] : store.defaults[name]);
  return names
    .filter((name) => !QUIET.includes(name) && new Set(runs.map((run) => JSON.stringify(valueOf(run, name) ?? null))).size > 1)
    .map((name) => [name, (run) => { const value = valueOf(run, name); return value === null || value === undefined ? "none" : shown(value); }]);
}

function differenceTable(view, runs) {
  const fields = differingFields(runs);
  const tested = runs.some((run) => run.result.split === "test");
  const last = (name) => (run) => scoreText(run.last[name]);
  const columns = [
    ["status", (run) => statusMark(run), ""],
    ["epochs", (run) => String(run.epochs), "num"],
    ...["loss", "val_loss", "accuracy", "val_accuracy"].filter((name) => runs.some((run) => isNumber(run.last[name])))
      .map((name) => [metricName(name), last(name), "num"]),
    [`best ${metricName(view.collection.by)}`, (run) => scoreText(run.score), "num"],
    ...(tested ? [["test accuracy", (run) => (run.result.split === "test" ? scoreText(run.result.top1) : ""), "num"]] : []),
    ["time", (run) => duration(run.seconds), "num"],
    ...fields.map(([name, value]) => [name, (run) => el("span", { class: "cut", title: value(run) }, value(run)), ""]),
  ];
  const head = el("tr", {}, el("th", {}, "run"), ...columns.map(([name, , kind]) => el("th", { class: kind }, name)));
  const body = runs.map((run, place) => {
    const { color, dash } = seriesColor(place);
    const style = `border-color: ${color}; border-top-style: ${dash === "solid" ? "solid" : dash.includes("dot") ? "dotted" : "dashed"}`;
    return el("tr", { class: "hit", onclick: () => openRun(run.key) },
      el("td", {}, el("span", { class: "swatch", style }), el("button", { type: "button", class: "linked cut", title: run.label }, shortened(run.label, 48))),
      ...columns.map(([, cell, kind]) => el("td", { class: kind }, cell(run))));
  });
  return el("table", {}, el("caption", { hidden: true }, "Final metrics and different settings"), el("thead", {}, head), el("tbody", {}, ...body));
}
