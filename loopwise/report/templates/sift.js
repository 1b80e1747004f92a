"use strict";
// Tables inside `.sift`: sorted by a click on a column's heading, and sifted by what is typed or chosen above them.
(() => {
  const valueOf = (row, column) => {
    // A cell may span columns that the heading has.
    let at = 0;
    for (const cell of row.cells) {
      at += cell.colSpan;
      if (at > column) return cell.dataset.value ?? cell.textContent.trim();
    }
    return "";
  };
  const compare = (one, other) => {
    const numbers = [Number(one), Number(other)];
    if (one !== "" && other !== "" && numbers.every(Number.isFinite)) return numbers[0] - numbers[1];
    return one.localeCompare(other, "en", { numeric: true });
  };

  const sortable = (table) => {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      if ("unsorted" in heading.dataset) return;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sorts";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const down = heading.getAttribute("aria-sort") === "ascending";
        for (const other of headings) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        const body = table.tBodies[0];
        const rows = [...body.rows].sort((a, b) => compare(valueOf(a, column), valueOf(b, column)));
        body.append(...(down ? rows.reverse() : rows));
      });
    });
  };

  for (const place of document.querySelectorAll(".sift")) {
    const table = place.querySelector("table");
    const find = place.querySelector("[data-find]");
    const keeps = [...place.querySelectorAll("[data-keep]")];
    const count = place.querySelector("[data-count]");
    const noun = place.dataset.noun;
    const sift = () => {
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      const rows = [...table.tBodies[0].rows];
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden =
          !words.every((word) => text.includes(word)) ||
          !keeps.every((each) => !each.value || row.dataset[each.dataset.keep] === each.value);
      }
      const shown = rows.filter((row) => !row.hidden).length;
      count.textContent = `${shown} of ${rows.length} ${noun}${rows.length === 1 ? "" : "s"}`;
    };
    find.addEventListener("input", sift);
    for (const each of keeps) each.addEventListener("change", sift);
    sortable(table);
    sift();
    place.querySelector(".sifters").hidden = false;
  }
})();
