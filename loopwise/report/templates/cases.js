"use strict";
// The table of all cases sorts and filters; links open the case they lead to. Without this, the page has all the same.
(() => {
  const table = document.querySelector("table.cases");
  const groups = [...table.tBodies];
  const rows = groups.flatMap((group) => [...group.rows].filter((row) => !row.classList.contains("group")));
  const flat = document.createElement("tbody");
  const home = new Map(rows.map((row, index) => [row, { group: row.parentNode, index }]));
  const state = { column: null, descending: false };
  const WORD_ORDER = ["better", "same", "undecided", "worse", "invalid"];

  // What a row sorts by in a column: a number, a text, or undefined, which goes last whichever way it is sorted.
  const key = (row, header) => {
    const name = header.dataset.sort;
    if (name === "name") return row.querySelector("th a").textContent.trim();
    if (name === "verdict") {
      const place = WORD_ORDER.indexOf(row.dataset.verdict);
      return place < 0 ? undefined : place;
    }
    if (row.classList.contains("void")) return undefined;
    const cell = row.cells[header.cellIndex];
    if (name === "cause") return cell.textContent.trim() || undefined;
    return cell.dataset.v === undefined ? undefined : Number(cell.dataset.v);
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));

  const headers = [...table.tHead.querySelectorAll("[data-sort]")];
  const status = document.getElementById("cases-shown");
  const find = document.querySelector(".filters input");
  const selects = [...document.querySelectorAll(".filters select")];

  const matches = (row) => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const own = [row.textContent, row.dataset.server, row.dataset.load, row.dataset.verdict].join(" ").toLowerCase();
    return (
      words.every((word) => own.includes(word)) &&
      selects.every((select) => !select.value || row.dataset[select.dataset.filter] === select.value)
    );
  };

  const order = () => {
    const header = headers.find((each) => each.dataset.sort === state.column);
    if (!header) {
      for (const row of rows) home.get(row).group.append(row);
      flat.remove();
      return;
    }
    const keyed = rows.map((row) => [key(row, header), row]);
    const sign = state.descending ? -1 : 1;
    keyed.sort(([a, first], [b, second]) => {
      if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
      return sign * compare(a, b) || home.get(first).index - home.get(second).index;
    });
    flat.replaceChildren(...keyed.map(([, row]) => row));
    table.append(flat);
  };

  const show = () => {
    order();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !matches(row);
      if (!row.hidden) shown += 1;
    }
    table.classList.toggle("flat", state.column !== null);
    for (const group of groups) group.hidden = ![...group.rows].slice(1).some((row) => !row.hidden);
    for (const header of headers) {
      const direction = state.descending ? "descending" : "ascending";
      header.setAttribute("aria-sort", header.dataset.sort === state.column ? direction : "none");
    }
    const sorted = headers.find((each) => each.dataset.sort === state.column);
    const how = sorted
      ? `sorted by ${sorted.textContent.trim()}, ${state.descending ? "descending" : "ascending"}`
      : "in the order of the suite";
    status.textContent = `${shown} of ${rows.length} case${rows.length === 1 ? "" : "s"}, ${how}.`;
  };

  // A first click sorts with the best or the first on top, a second turns it round, a third goes back.
  const press = (header) => {
    const first = header.dataset.first === "descending";
    if (state.column !== header.dataset.sort) Object.assign(state, { column: header.dataset.sort, descending: first });
    else if (state.descending === first) state.descending = !first;
    else state.column = null;
    show();
  };

  for (const header of headers) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sorter";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => press(header));
  }
  find.addEventListener("input", show);
  for (const select of selects) select.addEventListener("change", show);
  document.querySelector(".filters .reset").addEventListener("click", () => {
    find.value = "";
    for (const select of selects) select.value = "";
    state.column = null;
    show();
  });
  document.querySelector(".filters").hidden = false;
  status.hidden = false;
  show();

  // Sections of cases: a link opens the one it leads to.
  const sections = [...document.querySelectorAll("details.case")];
  const arrive = () => {
    let id = location.hash.slice(1);
    try {
      id = decodeURIComponent(id);
    } catch {
      /* a broken link leads nowhere */
    }
    const target = id && document.getElementById(id);
    const section = target && target.closest("details.case");
    if (!section) return;
    section.open = true;
    section.scrollIntoView();
    section.querySelector("summary").focus({ preventScroll: true });
  };
  addEventListener("hashchange", arrive);
  // A second click on the same link changes no hash.
  table.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#case-']");
    if (link && link.hash === location.hash) arrive();
  });
  arrive();

  const all = document.getElementById("open-all");
  const openAll = (open) => {
    for (const section of sections) section.open = open;
    all.textContent = open ? "Close all" : "Open all";
    all.setAttribute("aria-expanded", String(open));
  };
  all.addEventListener("click", () => openAll(all.getAttribute("aria-expanded") !== "true"));
  all.hidden = sections.length < 2;

  // Paper can't be clicked.
  let were = [];
  addEventListener("beforeprint", () => {
    were = sections.map((section) => section.open);
    for (const section of sections) section.open = true;
  });
  addEventListener("afterprint", () => sections.forEach((section, index) => (section.open = were[index])));
})();
