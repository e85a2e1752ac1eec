// Makes the columns of a table sortable: a button in each header, the state in aria-sort. A filter
// above a table hides rows. What has changed is said in live regions.
"use strict";

// For those who do not see how rows move.
const heard = document.createElement("p");
heard.className = "heard";
heard.setAttribute("role", "status");
document.body.append(heard);

// A number that is not there sorts last in both directions.
function compare(first, second, sign) {
  const missing = (value) => value === "nan" || value === "inf";
  if (missing(first) || missing(second)) return missing(first) - missing(second);
  const difference = first - second;
  return sign * (Number.isNaN(difference) ? first.localeCompare(second) : difference);
}

function sortBy(table, header) {
  const column = header.cellIndex;
  const ascending = header.getAttribute("aria-sort") !== "ascending";
  const value = (row) => row.cells[column].dataset.value;
  const rows = Array.from(table.tBodies[0].rows);
  rows.sort((a, b) => compare(value(a), value(b), ascending ? 1 : -1));
  table.tBodies[0].append(...rows);
  for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
  const order = ascending ? "ascending" : "descending";
  header.setAttribute("aria-sort", order);
  heard.textContent = `Sorted by ${header.textContent}, ${order}.`;
}

function filterRows(filter, rows) {
  const text = filter.querySelector("input").value.trim().toLowerCase();
  const kind = filter.querySelector("select").value;
  for (const row of rows) {
    const named = row.querySelector("th").textContent.toLowerCase().includes(text);
    row.hidden = !named || (kind !== "" && row.dataset.kind !== kind);
  }
  const shown = rows.filter((row) => !row.hidden).length;
  filter.querySelector("output").textContent = `${shown} of ${rows.length} models`;
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const header of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sortBy(table, header));
    header.append(button);
    if (!header.hasAttribute("aria-sort")) header.setAttribute("aria-sort", "none");
  }
}

for (const filter of document.querySelectorAll(".filter")) {
  const rows = Array.from(filter.nextElementSibling.querySelector("tbody").rows);
  filter.addEventListener("input", () => filterRows(filter, rows));
  filter.hidden = false;
  filterRows(filter, rows);
}
