"use strict";
// Colors of scores and of compared runs, for a light and a dark page.

const DARK = window.matchMedia("(prefers-color-scheme: dark)");
const SCALES = {
  light: ["#c9ced6", "#9cc3d9", "#4f97c4", "#2560a8", "#33196b"],
  dark: ["#4a5364", "#3f6f96", "#3fa3bd", "#8ad7b0", "#f6f3a3"],
};
const SERIES = {
  light: ["#2b6cb0", "#dd6b20", "#2f855a", "#6b46c1", "#c53030", "#0f766e", "#b7791f", "#4a5568",
    "#b83280", "#1a365d"],
  dark: ["#6aaaf0", "#f6a55c", "#63c392", "#b39bf2", "#f28b82", "#4fd1c5", "#e0b04c", "#a3adba",
    "#f08bc4", "#d9e2ec"],
};
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];

function mode() {
  return DARK.matches ? "dark" : "light";
}

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function mixed(scale, share) {
  const place = Math.min(Math.max(share, 0), 1) * (scale.length - 1);
  const low = Math.min(Math.floor(place), scale.length - 2);
  const part = (color, i) => parseInt(color.slice(1 + 2 * i, 3 + 2 * i), 16);
  const blend = [0, 1, 2].map((i) =>
    Math.round(part(scale[low], i) + (place - low) * (part(scale[low + 1], i) - part(scale[low], i))));
  return `rgb(${blend.join(",")})`;
}

function quantile(sorted, share) {
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.round(share * (sorted.length - 1)))] : NaN;
}

// Very bad scores share the first color, so that good ones can be told apart.
function scoreScale(collection, runs) {
  const scores = runs.filter((run) => run.status !== "same").map((run) => run.score).filter(isNumber)
    .sort((a, b) => a - b);
  const up = collection.goal === "max";
  const best = up ? scores[scores.length - 1] : scores[0];
  const worst = scores.length > 8 ? quantile(scores, up ? 0.2 : 0.8) : (up ? scores[0] : scores[scores.length - 1]);
  const scale = SCALES[mode()];
  return {
    best, worst,
    clipped: isNumber(worst) && worst !== (up ? scores[0] : scores[scores.length - 1]),
    of: (score) => {
      if (!isNumber(score)) return css("muted");
      return mixed(scale, best === worst ? 1 : (score - worst) / (best - worst));
    },
    gradient: `linear-gradient(to right, ${scale.join(",")})`,
  };
}

function seriesColor(place) {
  const colors = SERIES[mode()];
  return { color: colors[place % colors.length], dash: DASHES[Math.floor(place / colors.length) % DASHES.length] };
}
