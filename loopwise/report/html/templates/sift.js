"use strict";
// Sorts the tables inside `.sift` by a click on a heading, and filters them by the controls above.
// A cell sorts by its data-value, else by its text; empty cells come last in both directions. A heading may set its
// first direction (data-first) or opt out (data-unsorted). Rows may be grouped: each group is a tbody that begins with
// a row of class `group`.
(() => {
  const valueOf = (row, column) => {
    // A cell may span columns that the heading has.
    let end = 0;
    for (const cell of row.cells) {
      end += cell.colSpan;
      if (end > column) return cell.dataset.value ?? cell.textContent.trim();
    }
    return "";
  };
  const compare = (one, other) => {
    const numbers = [Number(one), Number(other)];
    if (numbers.every(Number.isFinite)) return numbers[0] - numbers[1];
    return one.localeCompare(other, "en", { numeric: true });
  };

  const prepare = (place) => {
    const table = place.querySelector("table");
    const groups = [...table.tBodies];
    const isHead = (row) => row.classList.contains("group");
    const rows = groups.flatMap((group) => [...group.rows].filter((row) => !isHead(row)));
    const homes = rows.map((row) => row.parentNode);
    const flat = document.createElement("tbody");
    const headings = [...table.tHead.rows[0].cells];
    const sorters = headings.filter((heading) => !("unsorted" in heading.dataset));
    const find = place.querySelector("[data-find]");
    const keeps = [...place.querySelectorAll("[data-keep]")];
    const status = place.querySelector("[data-shown]");
    const state = { heading: null, descending: false };

    const order = () => {
      table.classList.toggle("flat", state.heading !== null);
      if (!state.heading) {
        rows.forEach((row, index) => homes[index].append(row));
        flat.remove();
        return;
      }
      const column = headings.indexOf(state.heading);
      const sign = state.descending ? -1 : 1;
      const keyed = rows.map((row) => [valueOf(row, column), row]);
      keyed.sort(([a], [b]) => (a === "" || b === "" ? (a === "") - (b === "") : sign * compare(a, b)));
      flat.replaceChildren(...keyed.map(([, row]) => row));
      table.append(flat);
    };

    const matches = (row) => {
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      const own = [row.textContent, ...Object.values(row.dataset)].join(" ").toLowerCase();
      return (
        words.every((word) => own.includes(word)) &&
        keeps.every((each) => !each.value || row.dataset[each.dataset.keep] === each.value)
      );
    };

    const show = () => {
      order();
      for (const row of rows) row.hidden = !matches(row);
      for (const group of groups) group.hidden = [...group.rows].every((row) => row.hidden || isHead(row));
      const direction = state.descending ? "descending" : "ascending";
      for (const heading of sorters) {
        heading.setAttribute("aria-sort", heading === state.heading ? direction : "none");
      }
      const shown = rows.filter((row) => !row.hidden).length;
      const noun = `${place.dataset.noun}${rows.length === 1 ? "" : "s"}`;
      const how = state.heading ? `sorted by ${state.heading.textContent.trim()}, ${direction}` : place.dataset.order;
      status.textContent = `${shown} of ${rows.length} ${noun}, ${how}.`;
    };

    // A second click reverses the order, a third restores the page's order.
    const press = (heading) => {
      const first = heading.dataset.first === "descending";
      if (state.heading !== heading) Object.assign(state, { heading, descending: first });
      else if (state.descending === first) state.descending = !first;
      else state.heading = null;
      show();
    };

    for (const heading of sorters) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sorter";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => press(heading));
    }
    find.addEventListener("input", show);
    for (const each of keeps) each.addEventListener("change", show);
    place.querySelector("[data-reset]").addEventListener("click", () => {
      for (const each of [find, ...keeps]) each.value = "";
      state.heading = null;
      show();
    });
    place.querySelector(".sifters").hidden = false;
    show();
  };

  for (const place of document.querySelectorAll(".sift")) prepare(place);
})();
