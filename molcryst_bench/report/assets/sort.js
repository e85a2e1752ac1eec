// Makes the columns of a table sortable: a button in each header, the state in aria-sort.
"use strict";

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
  header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
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
