// Draws the errors of two models against each other, and lists the items on which they differ most.
"use strict";

const SIZE = { width: 520, height: 500, left: 64, right: 14, top: 14, bottom: 56 };
const LISTED = 20; // items in the table
const DECADES = 4; // of the axes, at most

const data = JSON.parse(document.getElementById("compare-data").textContent);
const choices = Object.fromEntries(
  ["first", "second", "quantity"].map((name) => [name, document.getElementById(`choose-${name}`)]),
);

function make(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function written(value, decimals) {
  const options = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return value.toLocaleString("en", options).replace("-", "\u2212");
}

// Where a value lies on a logarithmic axis from 0 to 1; what is too small lies at its beginning.
function along(value, limits) {
  const place = Math.log(value / limits[0]) / Math.log(limits[1] / limits[0]);
  return Math.min(Math.max(place, 0), 1);
}

function limitsOf(values) {
  const positive = values.filter((value) => value > 0);
  const largest = positive.reduce((a, b) => Math.max(a, b), Number.MIN_VALUE);
  const smallest = positive.reduce((a, b) => Math.min(a, b), largest);
  return [Math.max(smallest / 1.2, largest / 10 ** DECADES), largest * 1.2];
}

function ticksOf(limits) {
  const decades = Math.log10(limits[1] / limits[0]);
  const ticks = [];
  for (let power = Math.floor(Math.log10(limits[0])); power <= Math.log10(limits[1]); power += 1) {
    for (const step of decades > 2.5 ? [1] : [1, 2, 5]) ticks.push(step * 10 ** power);
  }
  return ticks.filter((tick) => tick >= limits[0] && tick <= limits[1]);
}

function drawAxes(svg, limits, x, y, names) {
  const { width, height, left, right, top, bottom } = SIZE;
  for (const tick of ticksOf(limits)) {
    const shown = Number(tick.toPrecision(1)).toLocaleString("en", { maximumSignificantDigits: 1 });
    svg.append(make("line", { class: "grid", x1: x(tick), x2: x(tick), y1: top, y2: height - bottom }));
    svg.append(make("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }));
    svg.append(make("text", { x: x(tick), y: height - bottom + 18, "text-anchor": "middle" }, shown));
    svg.append(make("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, shown));
  }
  const [low, high] = limits;
  svg.append(make("line", { class: "equal", x1: x(low), y1: y(low), x2: x(high), y2: y(high) }));
  const middle = (left + width - right) / 2;
  svg.append(make("text", { class: "name", x: middle, y: height - 12, "text-anchor": "middle" }, names[0]));
  const turned = { class: "name", x: 0, y: 0, "text-anchor": "middle" };
  turned.transform = `translate(16 ${(top + height - bottom) / 2}) rotate(-90)`;
  svg.append(make("text", turned, names[1]));
}

function labelOf(item) {
  const formula = data.formulas[item];
  return formula === null ? data.ids[item] : `${data.ids[item]}, ${formula}`;
}

function cut(name) {
  return name.length > 28 ? `${name.slice(0, 27)}\u2026` : name;
}

function draw(svg, pair, quantity) {
  const limits = limitsOf(pair.flatMap((model) => quantity.errors[model]));
  const { width, height, left, right, top, bottom } = SIZE;
  const x = (value) => left + along(value, limits) * (width - left - right);
  const y = (value) => height - bottom - along(value, limits) * (height - top - bottom);
  const names = pair.map((model) => `error of ${cut(data.models[model])} (${quantity.unit})`);
  svg.replaceChildren();
  drawAxes(svg, limits, x, y, names);
  const [first, second] = pair.map((model) => quantity.errors[model]);
  data.ids.forEach((_, item) => {
    if (first[item] === null || second[item] === null) return;
    const point = make("circle", { cx: x(first[item]).toFixed(1), cy: y(second[item]).toFixed(1), r: 3 });
    const errors = [first, second].map((errors) => written(errors[item], quantity.decimals));
    point.append(make("title", {}, `${labelOf(item)}: ${errors.join(" and ")} ${quantity.unit}`));
    svg.append(point);
  });
}

function fill(table, pair, quantity) {
  const [first, second] = pair.map((model) => quantity.errors[model]);
  const difference = (item) => first[item] - second[item];
  const known = (item) => first[item] !== null && second[item] !== null;
  const items = Array.from(data.ids.keys()).filter(known);
  items.sort((a, b) => Math.abs(difference(b)) - Math.abs(difference(a)));
  const rows = items.slice(0, LISTED).map((item) => {
    const errors = [first[item], second[item], difference(item)];
    const shown = errors.map((value) => written(value, quantity.decimals));
    const row = document.createElement("tr");
    const cells = [data.ids[item], data.formulas[item] ?? "n/a", data.truths[item], ...shown];
    cells.forEach((text, column) => {
      const cell = document.createElement(column === 0 ? "th" : "td");
      if (column === 0) cell.scope = "row";
      if (column < 2) cell.className = "left";
      cell.textContent = text;
      row.append(cell);
    });
    return row;
  });
  table.tBodies[0].replaceChildren(...rows);
  pair.forEach((model, place) => {
    const header = document.getElementById(place === 0 ? "error-first" : "error-second");
    header.textContent = `Error of ${data.models[model]} (${quantity.unit})`;
  });
  const names = pair.map((model) => data.models[model]);
  document.getElementById("error-difference").textContent = `Difference (${quantity.unit})`;
  table.caption.textContent = `${names.join(" and ")}, ${quantity.name}`;
}

function tell(pair, quantity) {
  const [first, second] = pair.map((model) => data.models[model]);
  const found = quantity.pairs.find((each) => each[0] === pair[0] && each[1] === pair[1]);
  if (found === undefined) return "Choose two different models.";
  const [, , difference, interval, nearer] = found;
  return (
    `The mean absolute error of ${first} minus that of ${second} is ${difference} ${quantity.unit} ` +
    `(95 % interval ${interval}). ${first} is nearer to the truth on ${nearer} of all test items.`
  );
}

function show() {
  const quantity = data.quantities[choices.quantity ? Number(choices.quantity.value) : 0];
  const pair = [Number(choices.first.value), Number(choices.second.value)];
  const svg = document.getElementById("scatter");
  const words = tell(pair, quantity);
  document.getElementById("in-words").textContent = words;
  svg.setAttribute("aria-label", `Scatter of the errors of two models on each item. ${words}`);
  draw(svg, pair, quantity);
  fill(document.getElementById("farthest"), pair, quantity);
}

document.getElementById("comparing").hidden = false;
for (const choice of Object.values(choices)) choice?.addEventListener("change", show);
document.getElementById("swap").addEventListener("click", () => {
  [choices.first.value, choices.second.value] = [choices.second.value, choices.first.value];
  show();
});
show();
