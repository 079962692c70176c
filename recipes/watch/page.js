"use strict";
// Poll the server, keep what it sent, and draw what changed.

const POLL = 2000;
const store = {
  version: null, now: Date.now() / 1000, collections: [], runs: new Map(), defaults: {},
  tab: null, stage: null, ticked: new Set(), untouched: true, brushed: null, heard: null, kept: null,
};

function accept(sent) {
  if (sent.whole) store.runs.clear();
  store.version = sent.version;
  store.now = sent.now;
  store.collections = sent.collections;
  if (sent.defaults) store.defaults = sent.defaults;
  for (const [key, run] of Object.entries(sent.runs)) store.runs.set(key, { key, ...run });
  if (!store.collections.some((each) => each.id === store.tab)) store.tab = store.collections.length ? store.collections[0].id : null;
}

function currentView() {
  const collection = store.collections.find((each) => each.id === store.tab);
  const every = collection.order.map((key) => store.runs.get(key)).filter(Boolean);
  const stages = [...new Set(every.map((run) => run.stage).filter(Boolean))].sort((a, b) => a - b);
  // Scores of different numbers of epochs do not compare, so one stage is shown at a time.
  const scored = stages.filter((stage) => every.some((run) => run.stage === stage && isNumber(run.score)));
  const stage = stages.includes(store.stage) ? store.stage : scored[scored.length - 1] ?? stages[stages.length - 1] ?? null;
  const runs = stage === null || collection.id === "all" ? every : every.filter((run) => run.stage === stage);
  const own = collection.id === "all" ? "fields" : "values";
  return {
    collection, every, stages, stage, runs, open: drawer.key, brushed: store.brushed, colors: scoreScale(collection, runs),
    valueOf: (run, name) => ((run[own] || run.values || {})[name] ?? null),
  };
}

function noun(view) {
  return view.collection.kind === "search" ? "trial" : "run";
}

function draw() {
  if (!store.tab) {
    at("alert").hidden = false;
    at("alert").textContent = "The directories contain neither a search nor a run any more.";
    return;
  }
  const view = currentView();
  at("main").className = view.collection.kind;
  drawHeader(view);
  drawSummary(view);
  drawStages(view);
  drawNow(view);
  drawProgress(view);
  drawPanels(view);
  drawParallel(view);
  drawBrush(view);
  drawImportance(view);
  drawScatter(view);
  drawComparison(view);
  drawTable(view);
  drawDrawer(view);
}

function drawHeader(view) {
  const { collection } = view;
  const title = collection.kind === "search" ? collection.name : plural(view.runs.length, "run");
  at("title").textContent = title;
  document.title = `${title} – recipes`;
  const parts = collection.kind === "search"
    ? [collection.tuner && `${capital(collection.tuner)} search`, collection.model && `${collection.model} on ${collection.data}`, collection.path]
    : [];
  at("about").textContent = parts.filter(Boolean).join(" · ");
  const tabs = at("tabs");
  tabs.hidden = store.collections.length < 2;
  const signature = JSON.stringify([store.tab, store.collections.map((each) => [each.id, each.name])]);
  if (tabs.dataset.made === signature) return;
  tabs.dataset.made = signature;
  tabs.replaceChildren(...store.collections.map((each) => el("button", {
    type: "button", "aria-current": String(each.id === store.tab), title: each.path || each.name,
    onclick: () => { Object.assign(store, { tab: each.id, stage: null, brushed: null, untouched: true }); store.ticked.clear(); sorting.column = null; draw(); },
  }, shortened(each.name, 40))));
}

function brush(keys) {
  store.brushed = keys;
  draw();
}

function drawBrush(view) {
  const node = at("brushed");
  node.hidden = !view.brushed;
  if (!view.brushed) return;
  node.replaceChildren(el("span", {}, `${plural(view.brushed.size, noun(view))} selected`),
    el("button", { type: "button", class: "plain", onclick: () => brush(null) }, "Show all"));
}

function connection(state, text) {
  at("link").className = state;
  at("link").textContent = text;
}

async function poll() {
  try {
    const query = store.version ? `?since=${encodeURIComponent(store.version)}` : "";
    const answer = await fetch(`data${query}`, { cache: "no-store" });
    if (answer.status === 200) {
      accept(await answer.json());
      draw();
      fetchDetails();
    } else if (answer.status !== 304) {
      throw new Error(answer.statusText);
    } else if (drawer.key && store.runs.get(drawer.key)?.status === "running") {
      fetchDetails();
    }
    store.heard = Date.now();
    connection("live", "Live");
  } catch {
    const since = store.heard ? `, last ${duration((Date.now() - store.heard) / 1000)} ago` : "";
    connection("lost", `The server does not answer${since}`);
  }
  setTimeout(poll, POLL);
}

function begin() {
  const kept = at("kept");
  let width = window.innerWidth, timer = null;
  window.addEventListener("resize", () => {
    if (width === window.innerWidth) return;
    width = window.innerWidth;
    clearTimeout(timer);
    timer = setTimeout(draw, 120);
  });
  DARK.addEventListener("change", draw);
  if (kept) {
    store.kept = JSON.parse(kept.textContent);
    accept(store.kept.data);
    connection("", `Written ${new Date(store.now * 1000).toLocaleString()}`);
    draw();
  } else {
    poll();
  }
  const wanted = decodeURIComponent(location.hash.slice(1));
  if (wanted) setTimeout(() => openRun(wanted), kept ? 0 : 600);
}

document.addEventListener("DOMContentLoaded", begin);
