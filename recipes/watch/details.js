"use strict";
// The drawer about one run: hyperparameters, curves, log, recipe and pictures.

const drawer = { key: null, run: null, details: null, error: null, focus: null };

function openRun(key) {
  if (!store.runs.has(key)) return;
  if (drawer.key === null) drawer.focus = document.activeElement;
  if (drawer.key !== key) Object.assign(drawer, { key, details: null, error: null, run: null });
  history.replaceState(null, "", `#${encodeURIComponent(key)}`);
  fetchDetails();
  draw();
  at("drawer").scrollTop = 0;
  at("drawer").querySelector("button.close")?.focus({ preventScroll: true });
}

function closeRun() {
  if (drawer.key === null) return;
  drawer.key = null;
  history.replaceState(null, "", location.pathname + location.search);
  draw();
  if (drawer.focus && drawer.focus.isConnected) drawer.focus.focus({ preventScroll: true });
}

async function fetchDetails() {
  const key = drawer.key;
  if (key === null) return;
  if (store.kept) {
    drawer.details = store.kept.details[key] || {};
    return;
  }
  try {
    const answer = await fetch(`run?key=${encodeURIComponent(key)}`);
    if (!answer.ok) throw new Error(answer.statusText);
    const details = await answer.json();
    if (drawer.key !== key) return;
    if (JSON.stringify(details) !== JSON.stringify(drawer.details)) {
      drawer.details = details;
      drawer.run = null;
      draw();
    }
  } catch {
    if (drawer.key === key && !drawer.details) { drawer.error = "The server does not answer."; drawer.run = null; draw(); }
  }
}

function neighbor(step) {
  const view = currentView();
  const runs = sorted(view, tableColumns(view));
  const place = runs.findIndex((run) => run.key === drawer.key);
  const next = runs[place + step];
  if (next) openRun(next.key);
}

document.addEventListener("keydown", (event) => {
  if (drawer.key === null || event.target.tagName === "SELECT" || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Escape") closeRun();
  if (event.key === "ArrowLeft") neighbor(-1);
  if (event.key === "ArrowRight") neighbor(1);
});

function drawDrawer(view) {
  const node = at("drawer");
  const run = drawer.key === null ? null : store.runs.get(drawer.key);
  node.hidden = !run;
  if (!run) { drawn.delete("drawer-curves"); node.replaceChildren(); drawer.run = null; return; }
  if (drawer.run === run && node.children.length) { drawDrawerCurves(run); return; }
  const scrolls = [...node.querySelectorAll("pre")].map((pre) => [pre.id, pre.scrollTop, pre.scrollHeight - pre.scrollTop - pre.clientHeight < 8]);
  const [page, focused] = [node.scrollTop, document.activeElement && document.activeElement.className];
  drawer.run = run;
  const close = el("button", { type: "button", class: "plain close", onclick: closeRun, title: "Close (Esc)", "aria-label": "Close" }, "Close");
  const step = (by, text, title) => el("button", { type: "button", class: `plain step${by}`, onclick: () => neighbor(by), title, "aria-label": title }, text);
  node.replaceChildren(
    el("div", { class: "bar" }, el("h2", {}, capital(run.label)),
      el("div", { class: "buttons" }, step(-1, "←", "Previous (left arrow)"), step(1, "→", "Next (right arrow)"), close)),
    el("p", { class: "muted", style: "overflow-wrap: anywhere" }, run.path),
    el("p", {}, statusMark(run), run.planned ? `, ${run.epochs} of ${plural(run.planned, "epoch")}` : ""),
    run.same_as ? el("p", { class: "muted" }, `It has the same recipe as trial ${run.same_as} and was not trained again. That trial is shown.`) : "",
    run.note ? el("p", { class: run.status === "failed" ? "why" : run.status === "stopped" ? "why is-stopped" : "muted" }, run.note) : "",
    factTable(view, run),
    el("h3", {}, "Curves"), el("div", { id: "drawer-curves", class: "figure" }),
    ...detailBlocks(run),
  );
  drawn.delete("drawer-curves");
  drawDrawerCurves(run);
  const log = at("log");
  if (log) log.scrollTop = log.scrollHeight;
  for (const [id, top, atEnd] of scrolls) {
    const pre = at(id);
    if (pre) pre.scrollTop = atEnd && id === "log" ? pre.scrollHeight : top;
  }
  node.scrollTop = page;
  if (focused && node.getElementsByClassName(focused)[0]) node.getElementsByClassName(focused)[0].focus({ preventScroll: true });
}

function factTable(view, run) {
  const facts = [[metricName(run.by), isNumber(run.score) ? `${scoreText(run.score)}${run.best_epoch ? `, in epoch ${run.best_epoch}` : ""}` : ""]];
  for (const axis of view.collection.axes) {
    const value = view.valueOf(run, axis.name);
    facts.push([axis.name, value === null || value === undefined ? "not used" : shown(value, 6)]);
  }
  if (run.stage) facts.push(["stage", run.stage]);
  if (run.result.split === "test") facts.push(["test accuracy", scoreText(run.result.top1)]);
  if (run.result.parameters) facts.push(["parameters", run.result.parameters.toLocaleString("en")]);
  facts.push(["training time", duration(run.seconds)]);
  return el("table", { style: "margin-top: 10px" }, el("tbody", {}, ...facts.filter(([, value]) => value !== "").map(([name, value]) =>
    el("tr", {}, el("th", { scope: "row", class: "long" }, name), el("td", { class: "long" }, value)))));
}

function detailBlocks(run) {
  const found = drawer.details;
  if (!found) return [el("p", { class: "muted", style: "margin-top: 16px" }, drawer.error || "Loading")];
  const blocks = [];
  if (found.error && found.error !== run.note) blocks.push(el("h3", {}, "Error"), el("pre", { id: "error" }, found.error));
  if (found.log !== null && found.log !== undefined) blocks.push(el("h3", {}, found.log_left_out ? "End of the log" : "Log"), el("pre", { id: "log", tabindex: "0" }, found.log || "The log is empty."));
  if (found.recipe) blocks.push(el("h3", {}, "Recipe"), el("pre", { id: "recipe", tabindex: "0" }, found.recipe));
  const pictures = found.pictures || [];
  if (pictures.length) blocks.push(el("h3", {}, "Pictures"));
  for (const { name, src } of pictures) {
    blocks.push(el("figure", {}, el("img", { src, alt: name, loading: "lazy" }), el("figcaption", {}, name)));
  }
  if (found.left_out) blocks.push(el("p", { class: "muted" }, found.left_out));
  return blocks;
}

function drawDrawerCurves(run) {
  const node = at("drawer-curves");
  const charts = [["loss", "Loss"], ["accuracy", "Accuracy"]].filter(([name]) => (run.curves[name] || []).concat(run.curves[`val_${name}`] || []).some(isNumber));
  if (!node || !charts.length) { if (node) node.replaceChildren(el("p", { class: "muted" }, "No epoch has ended yet.")); return; }
  const two = node.clientWidth > 480;
  const layout = { height: two ? 240 : 440, margin: { l: 48, r: 10, t: 26, b: 40 }, annotations: [], showlegend: true, legend: { orientation: "h", y: -0.2, yanchor: "top", x: 0, font: { color: css("ink") } } };
  if (!two) layout.legend.y = -0.12;
  charts.forEach(([name, title], i) => {
    const suffix = i ? String(i + 1) : "";
    const sideways = two && charts.length > 1 ? [i ? 0.56 : 0, i ? 1 : 0.44] : [0, 1];
    const upright = two || charts.length < 2 ? [0, 1] : (i ? [0, 0.42] : [0.58, 1]);
    layout[`xaxis${suffix}`] = axisStyle({ domain: sideways, anchor: `y${suffix}`, showgrid: false, automargin: false, ...epochTicks([run]) });
    layout[`yaxis${suffix}`] = axisStyle({ domain: upright, anchor: `x${suffix}`, automargin: false, ...(name === "loss" ? lossScale([run], "val_loss") : {}) });
    layout.annotations.push({ text: title, showarrow: false, xref: "paper", yref: "paper", x: sideways[0], y: upright[1], xanchor: "left", yanchor: "bottom", font: { size: 12.5, color: css("ink") } });
  });
  const colors = SERIES[mode()];
  figure("drawer-curves", [run.key, two, run.curves], () => charts.flatMap(([name], i) => [[name, "training", colors[0]], [`val_${name}`, "validation", colors[1]]].map(([column, label, color]) => ({
    x: run.curves.epoch, y: run.curves[column] || [], name: label, legendgroup: label, showlegend: i === 0, xaxis: `x${i ? i + 1 : ""}`, yaxis: `y${i ? i + 1 : ""}`,
    mode: run.curves.epoch.length > 1 ? "lines" : "markers", line: { color, width: 1.8 }, marker: { color },
    hovertemplate: `${label}, epoch %{x}: %{y:.4g}<extra></extra>`,
  }))), layout);
}
