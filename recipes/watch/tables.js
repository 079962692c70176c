"use strict";
// The summary, the workers and running trials, and the table of all trials.

const sorting = { column: null, down: true };
const rows = { made: new Map(), layout: "", heading: "" }; // of the table, which are made again only after a change

function drawSummary(view) {
  const { collection, every: runs } = view;
  const search = collection.kind === "search";
  const count = {};
  for (const run of runs) count[run.status] = (count[run.status] || 0) + 1;
  const done = inOrder(scored(view), view, "best");
  const candidates = done.length ? done : inOrder(view.runs.filter((run) => isNumber(run.score)), view, "best");
  const best = candidates[0];
  const total = Math.max(collection.wanted || 0, runs.length);
  const cards = [];
  cards.push(el("div", { class: "card broad" },
    el("p", { class: "fact" }, `Best ${metricName(collection.by)}${view.stage ? ` of stage ${view.stage}` : ""}${done.length || !best ? "" : " until now"}`),
    el("p", { class: "value" }, best ? scoreText(best.score) : "–"),
    best ? el("div", { class: "terms" },
      el("button", { type: "button", class: "linked", onclick: () => openRun(best.key) }, shortened(best.label, 60)),
      ...collection.axes.slice(0, 10).filter((axis) => (view.valueOf(best, axis.name) ?? null) !== null).map((axis) =>
        el("span", { class: "muted", title: `${axis.name}=${view.valueOf(best, axis.name)}` }, `${shortened(axis.name, 24)}=${shortened(shown(view.valueOf(best, axis.name)), 24)}`)))
      : el("p", { class: "muted" }, runs.length ? `No ${noun(view)} has a score yet.` : `No ${noun(view)} has started yet.`)));
  const left = total - runs.length;
  const ended = ["finished", "stopped", "failed", "same"].reduce((sum, status) => sum + (count[status] || 0), 0);
  cards.push(el("div", { class: "card broad" },
    el("p", { class: "fact" }, `${capital(noun(view))}s done`),
    el("p", { class: "value" }, String(ended), el("small", {}, ` of ${total}`)),
    el("div", { class: "shares", "aria-hidden": "true" }, ...["finished", "same", "stopped", "failed", "running", "waiting", "interrupted"].filter((s) => count[s])
      .map((status) => el("i", { class: status, style: `width: ${(100 * count[status]) / total}%` }))),
    el("div", { class: "keys" }, ...STATUSES.filter((s) => count[s]).map((status) =>
      el("span", { class: "key" }, el("i", { class: status }), `${count[status]} ${status === "same" ? "repeated" : status}`)),
    left > 0 && el("span", { class: "key muted" }, `${left} not started`))));
  const started = Math.min(...runs.map((run) => run.started).filter(isNumber));
  const busy = runs.some((run) => run.status === "running") || collection.alive;
  const last = busy ? store.now : Math.max(...runs.map((run) => run.ended).filter(isNumber));
  const trained = runs.filter((run) => run.status !== "same").reduce((sum, run) => sum + (run.seconds || 0), 0);
  const span = duration(last - started) || "–";
  cards.push(!search ? el("div", { class: "card" }, el("p", { class: "fact" }, "Training time"), el("p", { class: "value" }, duration(trained) || "–")) : el("div", { class: "card" },
    el("p", { class: "fact" }, busy ? "Time since the start" : "Time from start to end"), el("p", { class: "value" }, span),
    el("p", { class: "muted" }, `${duration(trained)} of training${remaining(view, left, count, last - started, ended)}`)));
  at("summary").replaceChildren(...cards);
  drawAlert(view, count);
}

// At the rate so far, how long the trials that are left will take.
function remaining(view, left, count, elapsed, ended) {
  const open = left + (count.running || 0) + (count.waiting || 0);
  if (view.collection.kind !== "search" || !view.collection.alive || ended < 3 || !open || !isNumber(elapsed)) return "";
  return `; about ${duration((elapsed / ended) * open)} left`;
}

function drawAlert(view, count) {
  const { collection } = view;
  const open = (count.running || 0) + (count.waiting || 0) + (count.interrupted || 0) > 0 || view.every.length < (collection.wanted || 0);
  let text = "";
  if (collection.kind === "search" && !collection.alive && open) {
    text = "This search is not running. Repeat its command to continue it.";
  } else if (collection.kind === "search" && view.every.length && count.failed === view.every.length) {
    text = `All trials failed. The last error: ${view.every[view.every.length - 1].note || "unknown"}`;
  }
  at("alert").hidden = !text;
  at("alert").textContent = text;
}

function drawStages(view) {
  const card = at("stages-card");
  card.hidden = view.stages.length < 1 || view.collection.id === "all";
  if (card.hidden) return;
  const pick = (stage) => { Object.assign(store, { stage, brushed: null, untouched: true }); store.ticked.clear(); draw(); };
  at("stages-controls").replaceChildren(el("span", { class: "muted" }, "Everything below is about"),
    choiceButtons(view.stages.map((stage) => [stage, `Stage ${stage}`]), view.stage, pick));
  const about = view.collection.stages.find((each) => each.stage === view.stage);
  const lines = !about ? [plural(view.runs.length, "trial")]
    : [`${plural(about.trials, "trial")} of ${plural(about.epochs, "epoch")}, ${about.ranges.join("  ") || "in the whole space"}`, ...about.remarks];
  at("stages").replaceChildren(...lines.map((line) => el("p", { class: "muted", style: "overflow-wrap: anywhere" }, line)));
}

function meter(run) {
  const share = run.planned ? Math.min(1, run.epochs / run.planned) : 0;
  return el("span", {}, el("span", { class: "meter" }, el("i", { style: `width: ${100 * share}%` })), run.planned ? `${run.epochs} of ${run.planned}` : String(run.epochs));
}

function drawNow(view) {
  const workers = view.collection.alive ? view.collection.workers : [];
  const running = inOrder(view.every.filter((run) => run.status === "running"), view, "number");
  const entries = [];
  const live = store.kept === null && view.collection.alive;
  const byTrial = new Map(running.filter((run) => run.trial !== undefined).map((run) => [run.trial, run]));
  for (const worker of workers) {
    const run = byTrial.get(worker.trial);
    byTrial.delete(worker.trial);
    entries.push({ worker, run });
  }
  const assigned = new Set(entries.map((row) => row.run && row.run.key));
  for (const run of running) if (!assigned.has(run.key)) entries.push({ worker: null, run });
  const card = at("now-card");
  card.hidden = !entries.length;
  at("progress-card").hidden = !hasProgress(view);
  at("top").classList.toggle("alone", card.hidden || at("progress-card").hidden);
  at("top").hidden = card.hidden && at("progress-card").hidden;
  if (!entries.length) return;
  at("now-title").textContent = workers.length ? "Workers" : "Running now";
  const withWorkers = workers.length > 0;
  const ago = (time) => (isNumber(time) ? `${duration(Math.max(0, Math.round(store.now - time)))} ago` : "");
  const header = [
    ...(withWorkers ? ["worker", "state"] : []), noun(view), "epochs", "latest",
    ...(withWorkers ? ["memory", live ? "heard" : ""] : ["best"]),
  ];
  const body = entries.map(({ worker, run }) => {
    const metric = run && (isNumber(run.last.val_accuracy) ? run.last.val_accuracy : run.last.accuracy);
    const cells = [];
    if (withWorkers) {
      const where = worker && worker.host ? `${worker.host}, process ${worker.pid}` : "";
      cells.push(worker ? el("span", { title: where }, shortened(worker.worker, 24)) : "–", worker ? el("span", { class: worker.state === "dead" ? "bad" : "", title: plural(worker.trials || 0, "trial") }, worker.state + (worker.restarts ? `, ${plural(worker.restarts, "restart")}` : "")) : "");
    }
    cells.push(run ? el("button", { type: "button", class: "linked", onclick: () => openRun(run.key) }, shortened(run.trial ?? run.label, 40)) : "–");
    cells.push(run ? meter(run) : "", run ? scoreText(metric) : "");
    if (withWorkers) cells.push(...(worker ? [bytes(worker.memory), live ? ago(worker.heard) : ""] : ["", ""]));
    else cells.push(run ? scoreText(run.score) : "");
    return el("tr", {}, ...cells.map((cell) => el("td", {}, cell)));
  });
  at("now").replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, ...header.map((text) => el("th", {}, text)))), el("tbody", {}, ...body)));
}

function tableColumns(view) {
  const search = view.collection.kind === "search";
  const stages = view.runs.some((run) => run.stage);
  const notes = view.runs.some((run) => run.note || run.same_as);
  const tested = view.runs.some((run) => run.result.split === "test");
  return [
    { name: noun(view), key: (run) => run.trial ?? run.label, cell: (run) => el("button", { type: "button", class: "linked cut", title: run.label }, shortened(search ? run.trial : run.label, 48)) },
    { name: "status", key: (run) => run.status, cell: statusMark },
    { name: metricName(view.collection.by), key: (run) => run.score, cell: (run) => scoreText(run.score), num: true },
    ...(tested ? [{ name: "test accuracy", key: (run) => run.result.top1, cell: (run) => (run.result.split === "test" ? scoreText(run.result.top1) : ""), num: true }] : []),
    ...(stages ? [{ name: "stage", key: (run) => run.stage, cell: (run) => run.stage || "", num: true }] : []),
    ...view.collection.axes.map((axis) => ({
      name: axis.name, key: (run) => view.valueOf(run, axis.name), num: axis.kind === "number",
      cell: (run) => el("span", { class: "cut", title: String(view.valueOf(run, axis.name) ?? "") }, shown(view.valueOf(run, axis.name))),
    })),
    { name: "epochs", key: (run) => run.epochs, cell: (run) => (run.status === "same" ? "" : String(run.epochs)), num: true },
    { name: "time", key: (run) => run.seconds, cell: (run) => (run.status === "same" ? "" : duration(run.seconds)), num: true },
    ...(notes ? [{ name: "note", key: (run) => run.note || "", long: true, cell: (run) => (run.same_as ? `same recipe as trial ${run.same_as}` : el("span", { title: run.note }, shortened(run.note || "", 160))) }] : []),
  ];
}

function sorted(view, columns) {
  const column = columns.find((each) => each.name === sorting.column);
  const runs = view.runs.filter((run) => !view.brushed || view.brushed.has(run.key));
  if (!column) return inOrder(runs, view, "running");
  const sign = sorting.down ? -1 : 1;
  const empty = (value) => value === null || value === undefined || value === "";
  return [...runs].sort((a, b) => {
    const [x, y] = [column.key(a), column.key(b)];
    if (empty(x) || empty(y)) return empty(x) - empty(y);
    return sign * (isNumber(x) && isNumber(y) ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true }));
  });
}

function drawTable(view) {
  at("table-card").hidden = !view.every.length;
  const columns = tableColumns(view);
  const runs = sorted(view, columns);
  const compared = new Set(comparedRuns(view).map((run) => run.key));
  at("table-title").textContent = view.collection.kind === "search" ? "Trials" : "Runs";
  at("table-about").textContent = `Tick ${noun(view)}s to compare them. Click one to open it.`;
  const head = el("tr", {}, el("th", {}), ...columns.map((column) => {
    const current = sorting.column === column.name;
    return el("th", { class: column.num ? "num" : column.long ? "long" : "", "aria-sort": current ? (sorting.down ? "descending" : "ascending") : null },
      el("button", { type: "button", title: `Sort by ${column.name}`, onclick: () => { sorting.down = current ? !sorting.down : Boolean(column.num); sorting.column = column.name; draw(); } },
        shortened(column.name, 26) + (current ? (sorting.down ? " ↓" : " ↑") : "")));
  }));
  const layout = JSON.stringify([view.collection.id, columns.map((column) => column.name)]);
  if (layout !== rows.layout) rows.made.clear();
  rows.layout = layout;
  const body = runs.map((run) => rowOf(view, columns, run, compared));
  const heading = JSON.stringify([layout, sorting]);
  const parent = at("table"), held = parent.querySelector("tbody");
  if (held && rows.heading === heading && held.children.length === body.length && body.every((row, i) => held.children[i] === row)) return;
  rows.heading = heading;
  const [top, left] = [parent.scrollTop, parent.scrollLeft];
  const nameOf = (node) => node.getAttribute("aria-label") || node.title;
  const focused = parent.contains(document.activeElement) ? nameOf(document.activeElement) : null;
  parent.replaceChildren(el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)));
  [parent.scrollTop, parent.scrollLeft] = [top, left];
  if (focused) [...parent.querySelectorAll("input, button")].find((node) => nameOf(node) === focused)?.focus({ preventScroll: true });
}

function rowOf(view, columns, run, compared) {
  const state = `${view.open === run.key} ${compared.has(run.key)}`;
  const known = rows.made.get(run.key);
  if (known && known.run === run && known.state === state) return known.node;
  const box = () => el("input", {
    type: "checkbox", "aria-label": `Compare ${run.label}`, checked: compared.has(run.key),
    onclick: (event) => { event.stopPropagation(); tick(run.key, event.target.checked); },
  });
  const node = el("tr", { class: `hit${view.open === run.key ? " open" : ""}`, "data-key": run.key, onclick: () => openRun(run.key) },
    el("td", {}, run.status === "same" ? "" : box()),
    ...columns.map((column) => el("td", { class: column.num ? "num" : column.long ? "long" : "" }, column.cell(run))));
  rows.made.set(run.key, { run, state, node });
  return node;
}

function tick(key, on) {
  if (store.untouched) store.ticked = new Set(comparedRuns(currentView()).map((run) => run.key));
  store.untouched = false;
  if (on) store.ticked.add(key); else store.ticked.delete(key);
  draw();
}
