"use strict";
// Unfolds what a link leads to, and everything for printing.
(() => {
  const folds = [...document.querySelectorAll("details")];
  const sections = [...document.querySelectorAll("details.case")];
  const arrive = () => {
    let id = location.hash.slice(1).split("?")[0];
    try {
      id = decodeURIComponent(id);
    } catch {
      /* a broken link leads nowhere */
    }
    const target = id && document.getElementById(id);
    if (!target) return;
    let closed = false;
    // A section in the navigation unfolds its own contents.
    const inside = target.querySelector(":scope > details.fold");
    for (let fold = inside ?? target.closest("details"); fold; fold = fold.parentElement.closest("details")) {
      closed ||= !fold.open;
      fold.open = true;
    }
    const section = target.closest("details.case");
    if (!closed && !section) return;
    (section ?? target).scrollIntoView();
    if (section) section.querySelector("summary").focus({ preventScroll: true });
  };
  addEventListener("hashchange", arrive);
  // A second click on the same link changes no hash.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
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
    were = folds.map((fold) => fold.open);
    for (const fold of folds) fold.open = true;
  });
  addEventListener("afterprint", () => folds.forEach((fold, index) => (fold.open = were[index])));
})();
