"use strict";
// Small multiples: one small picture of the curves of each run, on common scales.

const ROWS_OF_PANELS = 4;
const panels = { metric: "loss", order: "best", status: "all", all: false, made: new Map(), scale: "" };
const STATUSES = ["running", "waiting", "interrupted", "finished", "stopped", "failed", "same"];

function drawPanels(view) {
  at("panels-card").hidden = !view.runs.length;
  if (!view.runs.length) return;
  const runs = view.runs.filter((run) => run.status !== "same" && (!view.brushed || view.brushed.has(run.key)));
  const count = {};
  for (const run of runs) count[run.status] = (count[run.status] || 0) + 1;
  if (panels.status !== "all" && !count[panels.status]) panels.status = "all";
  panelControls(view, count, runs.length);
  const kept = runs.filter((run) => panels.status === "all" || run.status === panels.status);
  const ordered = inOrder(kept, view, panels.order);
  const few = ROWS_OF_PANELS * Math.max(2, Math.floor((at("panels").clientWidth + 8) / panelWidth(view)));
  const visible = panels.all ? ordered : ordered.slice(0, few);
  const scale = commonScale(view.runs, panels.metric);
  describeScale(view, scale);
  const signature = JSON.stringify([scale, view.colors.best, view.colors.worst, mode(), view.collection.id]);
  if (signature !== panels.scale) panels.made.clear();
  panels.scale = signature;
  const parent = at("panels");
  const nodes = visible.map((run) => panelOf(run, view, scale));
  if (nodes.length !== parent.children.length || nodes.some((node, i) => parent.children[i] !== node)) {
    parent.replaceChildren(...nodes);
  }
  at("panels-title").textContent = `${panels.metric === "loss" ? "Loss" : "Accuracy"} curves`;
  const more = at("panels-more");
  more.hidden = ordered.length <= few;
  more.textContent = panels.all ? `Show the first ${few}` : `Show all ${ordered.length}`;
  more.onclick = () => { panels.all = !panels.all; draw(); };
}

function panelWidth(view) {
  return 8 + (view.collection.kind === "search" ? (window.innerWidth > 600 ? 148 : 132) : 200);
}

function inOrder(runs, view, order) {
  const sign = view.collection.goal === "max" ? -1 : 1;
  const byScore = (a, b) => {
    if (isNumber(a.score) !== isNumber(b.score)) return isNumber(a.score) ? -1 : 1;
    return isNumber(a.score) ? sign * (a.score - b.score) : 0;
  };
  const live = (run) => (run.status === "running" ? 0 : 1);
  if (order === "best") return [...runs].sort(byScore);
  if (order === "newest") return [...runs].reverse();
  if (order === "running") return [...runs].sort((a, b) => live(a) - live(b) || byScore(a, b));
  return [...runs];
}

function panelControls(view, count, total) {
  const pick = (name) => (value) => { panels[name] = value; draw(); };
  const statuses = STATUSES.filter((status) => count[status]);
  const signature = JSON.stringify([panels.metric, panels.order, panels.status, count, total]);
  const parent = at("panels-controls");
  if (parent.dataset.made === signature || parent.contains(document.activeElement) && document.activeElement.tagName === "SELECT") return;
  parent.dataset.made = signature;
  const options = (entries, current) => entries.map(([value, text]) =>
    el("option", { value, selected: value === current }, text));
  parent.replaceChildren(
    choiceButtons([["loss", "Loss"], ["accuracy", "Accuracy"]], panels.metric, pick("metric")),
    statuses.length > 1 && el("label", {}, "Show", el("select", { onchange: (e) => { e.target.blur(); pick("status")(e.target.value); } },
      ...options([["all", `all ${total}`], ...statuses.map((s) => [s, `${s} (${count[s]})`])], panels.status))) || "",
    total > 1 && el("label", {}, "Order", el("select", { onchange: (e) => { e.target.blur(); pick("order")(e.target.value); } },
      ...options([["best", "best first"], ["running", "running first"], ["newest", "newest first"], ["number", "oldest first"]], panels.order))) || "",
  );
}

// Explosions would flatten all other curves, so the scale of the loss ends above the usual first values.
function commonScale(runs, metric) {
  const values = [];
  let epochs = 1;
  for (const run of runs) {
    if (run.status === "same") continue;
    for (const name of [metric, `val_${metric}`]) {
      for (const value of run.curves[name] || []) if (isNumber(value)) values.push(value);
    }
    epochs = Math.max(epochs, run.status === "running" ? run.planned || 1 : run.epochs);
  }
  values.sort((a, b) => a - b);
  if (metric === "accuracy") return { metric, low: quantile(values, 0.01), high: 1, log: false, epochs };
  const low = quantile(values, 0.01), high = Math.min(values[values.length - 1], highestLoss(runs, [metric, `val_${metric}`]));
  return { metric, low, high, log: low > 0 && high > 20 * low, epochs };
}

function highestLoss(runs, names) {
  const first = runs.flatMap((run) => names.map((name) => (run.curves[name] || []).find(isNumber))).filter(isNumber).sort((a, b) => a - b);
  return first.length ? 2.5 * quantile(first, 0.75) : Infinity;
}

function describeScale(view, scale) {
  const parts = [];
  const range = isNumber(scale.low) ? ` from ${shown(scale.low, 2)} to ${shown(scale.high, 2)}` : "";
  const validated = view.runs.some((run) => (run.curves[`val_${scale.metric}`] || []).some(isNumber));
  parts.push(`${validated ? "Thick: validation; thin: training." : "Training, without validation."} All panels show epochs 1 to ${scale.epochs} and ` +
    `${scale.metric}${range}${scale.log ? ", on a log scale" : ""}. `);
  const { best, worst, gradient, clipped } = view.colors;
  const bar = isNumber(best) ? [
    `Color: ${metricName(view.collection.by)} ${scoreText(worst)}${clipped ? (view.collection.goal === "max" ? " or lower" : " or higher") : ""}`,
    el("span", { style: "white-space: nowrap" }, el("span", { class: "gradient", style: `background: ${gradient}` }), scoreText(best)),
  ] : [];
  at("panels-scale").replaceChildren(...parts, ...bar);
}

function panelOf(run, view, scale) {
  const known = panels.made.get(run.key);
  const open = view.open === run.key;
  if (known && known.run === run && known.node.classList.contains("open") === open) return known.node;
  const score = isNumber(run.score) ? scoreText(run.score) : "";
  const node = el("button", {
    type: "button", class: `panel is-${run.status}${open ? " open" : ""}`, title: run.label,
    "data-key": run.key, onclick: () => openRun(run.key),
  },
  el("span", { class: "head" },
    el("span", { class: "name" }, shortened(run.label, view.collection.kind === "search" ? 18 : 26)), el("span", { class: "score" }, score)),
  panelPicture(run, view.colors.of(run.status === "failed" ? null : run.score), scale),
  el("span", { class: "foot", style: "display: block", title: run.note }, panelFoot(run)));
  panels.made.set(run.key, { run, node });
  return node;
}

function panelFoot(run) {
  const epochs = run.planned && run.epochs < run.planned ? `${run.epochs} of ${plural(run.planned, "epoch")}` : plural(run.epochs, "epoch");
  if (run.status === "finished") return epochs;
  if (run.status === "failed") return `failed: ${run.note || "no reason is known"}`;
  if (run.status === "stopped") return `stopped: ${run.note || epochs}`;
  return `${run.status}, ${epochs}`;
}

function panelPicture(run, color, scale) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 160 66");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const add = (kind, d, stroke) => {
    const path = document.createElementNS(space, "path");
    path.setAttribute("class", kind);
    path.setAttribute("d", d);
    if (stroke) path.style.stroke = stroke;
    svg.append(path);
  };
  add("edge", "M0 65.5H160");
  const validated = (run.curves[`val_${scale.metric}`] || []).some(isNumber);
  if (validated) add("train", curvePath(run, scale.metric, scale));
  add("valid", curvePath(run, validated ? `val_${scale.metric}` : scale.metric, scale), color);
  return svg;
}

function curvePath(run, name, scale) {
  const epochs = run.curves.epoch || [];
  const values = run.curves[name] || [];
  const on = (value) => (scale.log ? Math.log(Math.max(value, 1e-12)) : value);
  const low = on(scale.low), span = on(scale.high) - low || 1;
  let path = "", pen = "M";
  values.forEach((value, i) => {
    if (!isNumber(value)) { pen = "M"; return; }
    const x = scale.epochs > 1 ? (160 * (epochs[i] - 1)) / (scale.epochs - 1) : 80;
    const y = 63 - 60 * Math.min(Math.max((on(value) - low) / span, 0), 1.04);
    path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    if (pen === "M" && !isNumber(values[i + 1])) path += "h3";
    pen = "L";
  });
  return path;
}
