"use strict";
// Opens the section of a case that a link leads to, and all sections for printing.
(() => {
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
  document.querySelector("table.cases").addEventListener("click", (event) => {
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
