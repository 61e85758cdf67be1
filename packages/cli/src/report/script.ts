/**
 * The page's script: sorting and filtering. Without it the page has the same content. The page's policy names its hash,
 * so that no other script runs.
 */
export const js = `
"use strict";
(() => {
  const controls = document.getElementById("controls");
  const table = document.getElementById("runs");
  if (!controls || !table) return;
  const runs = Array.from(table.tBodies, (body) => ({
    body,
    text: (body.rows[0].textContent + " " + body.querySelector("summary").textContent).toLowerCase(),
    details: body.querySelector("details")
  }));

  const sortable = (table, unitsOf) => {
    const headings = Array.from(table.querySelectorAll("th[data-column]"));
    for (const heading of headings) {
      const column = Number(heading.dataset.column);
      const numeric = heading.classList.contains("number");
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const before = heading.getAttribute("aria-sort");
        const direction = before === null ? (numeric ? "descending" : "ascending")
          : before === "ascending" ? "descending" : "ascending";
        for (const other of headings) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", direction);
        const sign = direction === "ascending" ? 1 : -1;
        const valueOf = (row) => {
          const cell = row.cells[column];
          return numeric ? Number(cell.dataset.value) : cell.textContent;
        };
        const units = unitsOf().map((unit) => ({ unit, value: valueOf(unit.rows ? unit.rows[0] : unit) }));
        units.sort((a, b) => sign * (numeric ? a.value - b.value : a.value.localeCompare(b.value, undefined, { numeric: true })));
        const parent = units.length === 0 ? table : units[0].unit.parentNode;
        parent.append(...units.map(({ unit }) => unit));
      });
    }
  };
  sortable(table, () => Array.from(table.tBodies));
  for (const cells of document.querySelectorAll("table.cells")) sortable(cells, () => Array.from(cells.tBodies[0].rows));

  const search = controls.querySelector("input");
  const selects = Array.from(controls.querySelectorAll("select"));
  const count = controls.querySelector("output");
  const toggle = controls.querySelector("button");
  const shown = () => runs.filter(({ body }) => !body.hidden);
  const label = () => {
    const visible = shown();
    const open = visible.length > 0 && visible.every(({ details }) => details.open);
    toggle.textContent = open ? "Close all" : "Open all";
    return open;
  };
  const filter = () => {
    const words = search.value.toLowerCase().split(/\\s+/).filter((word) => word !== "");
    for (const { body, text } of runs) {
      body.hidden = !words.every((word) => text.includes(word))
        || selects.some((select) => select.value !== "" && body.dataset[select.dataset.key] !== select.value.slice(1));
    }
    const visible = shown().length;
    count.textContent = visible === runs.length ? runs.length + (runs.length === 1 ? " run" : " runs")
      : visible + " of " + runs.length + " runs";
    label();
  };
  search.addEventListener("input", filter);
  for (const select of selects) select.addEventListener("change", filter);
  table.addEventListener("toggle", label, true);
  toggle.addEventListener("click", () => {
    const open = label();
    for (const { details } of shown()) details.open = !open;
  });
  controls.hidden = false;
  filter();
})();
`

/** \`sha256-…\` of {@link js}, for the page's content security policy. */
export const hash = "sha256-UEc149hC3TUHBfUamAlC0VVamDX9yW3sHdj7uKjdgaU="
