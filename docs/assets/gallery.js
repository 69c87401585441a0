/* The gallery's tables: a column's head sorts by it, the form above them chooses. */
const form = document.querySelector("form.filters");
if (form) {
  const bodies = [...document.querySelectorAll("table.gallery tbody")];
  const rows = bodies.flatMap((body) => [...body.rows].map((row) => ({ row, body })));
  const order = { by: null, sign: 1 };

  const fits = ({ words, states, stages, scan }) =>
    form.words.value.toLowerCase().split(/\s+/).every((word) => words.includes(word)) &&
    (!form.states.value || form.states.value === states) &&
    (!form.stages.value || form.stages.value === stages) &&
    (!form.scan.checked || scan === "1");

  const before = ({ row: { dataset: a } }, { row: { dataset: b } }) =>
    order.sign *
    (order.by === "name" ? a.name.localeCompare(b.name) : a[order.by] - b[order.by]);

  const arrange = () => {
    for (const { row, body } of order.by ? rows.toSorted(before) : rows) {
      row.hidden = !fits(row.dataset);
      (form.together.checked ? bodies[0] : body).append(row);
    }
    for (const body of bodies) {
      const table = body.closest("table");
      const empty = [...body.rows].every((row) => row.hidden);
      table.hidden = empty;
      table.previousElementSibling.hidden = empty || form.together.checked;
    }
    for (const button of document.querySelectorAll("table.gallery [data-by]")) {
      const sorted = button.dataset.by === order.by;
      const direction = order.sign > 0 ? "ascending" : "descending";
      button.parentElement.setAttribute("aria-sort", sorted ? direction : "none");
    }
    const found = rows.filter(({ row }) => !row.hidden).length;
    form.querySelector("output").value = found < rows.length ? `${found} of ${rows.length}` : "";
  };

  document.addEventListener("click", ({ target }) => {
    const by = target.dataset?.by;
    if (by) {
      order.sign = order.by === by ? -order.sign : 1;
      order.by = by;
      arrange();
    }
  });
  form.addEventListener("input", arrange);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
}
