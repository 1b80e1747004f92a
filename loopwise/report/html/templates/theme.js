"use strict";
// Light, dark, or as the system, remembered for the next page. Runs in the head, so that a page never flashes in the wrong colours.
(() => {
  const KEY = "loopwise-theme";
  const root = document.documentElement;

  // Where a browser gives a page from disk no storage, the choice lasts as long as the page.
  const kept = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  };
  const keep = (choice) => {
    try {
      localStorage.setItem(KEY, choice);
    } catch {
      /* see above */
    }
  };

  const show = (choice) => {
    if (choice === "light" || choice === "dark") root.dataset.theme = choice;
    else delete root.dataset.theme;
  };

  show(kept());
  document.addEventListener("DOMContentLoaded", () => {
    const group = document.querySelector(".theme");
    const buttons = [...group.querySelectorAll("button")];
    const press = () => {
      const now = root.dataset.theme ?? "auto";
      for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.themeChoice === now));
    };
    for (const button of buttons) {
      button.addEventListener("click", () => {
        show(button.dataset.themeChoice);
        keep(button.dataset.themeChoice);
        press();
        document.dispatchEvent(new CustomEvent("loopwise:theme"));
      });
    }
    press();
    group.hidden = false;
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    document.dispatchEvent(new CustomEvent("loopwise:theme"));
  });
})();
