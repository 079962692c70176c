"use strict";
// Elements, and numbers and times as text. Text from files is only ever set as textContent.

function el(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") made.style.cssText = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

function at(id) {
  return document.getElementById(id);
}

// Plotly reads tags and entities in its texts.
function literal(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

function shown(value, digits = 4) {
  if (value === null || value === undefined) return "";
  if (!isNumber(value)) return String(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return String(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) {
    const [mantissa, power] = value.toExponential(digits - 2).split("e");
    return `${Number(mantissa)}e${Number(power)}`;
  }
  return String(Number(value.toPrecision(digits)));
}

// Scores in columns keep their last zeros.
function scoreText(value) {
  if (!isNumber(value)) return "";
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e4) ? shown(value) : value.toPrecision(4);
}

function duration(seconds) {
  if (!isNumber(seconds)) return "";
  if (seconds < 10) return `${Number(seconds.toPrecision(2))} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function bytes(count) {
  return isNumber(count) ? `${shown(count / 2 ** 30, 2)} GiB` : "";
}

function shortened(text, most) {
  text = String(text);
  if (text.length <= most) return text;
  const end = Math.floor((most - 1) / 2);
  return `${text.slice(0, most - 1 - end)}…${text.slice(text.length - end)}`;
}

function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function metricName(by) {
  if (by === "accuracy" || by === "loss") return `training ${by}`;
  return by.replace("val_", "validation ").replace("macro_f1", "macro F1").replace(/_/g, " ");
}

function statusMark(run) {
  return el("span", { class: "status" }, el("i", { class: run.status }), run.status);
}

function choiceButtons(options, current, pick) {
  return el("span", { class: "choice", role: "group" }, ...options.map(([value, text]) =>
    el("button", { type: "button", "aria-pressed": String(value === current), onclick: () => pick(value) }, text)));
}
