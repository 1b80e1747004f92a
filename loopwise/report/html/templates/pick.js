"use strict";
// Shows the command that compares the picked results, and a link to an existing comparison of them.
(() => {
  const panel = document.getElementById("picked");
  if (!panel) return;
  const boxes = [...document.querySelectorAll(".pick input")];
  const [hint, block, base, command, copied, made] = ["picked-hint", "picked-command", "base", "command", "copied", "made"].map(
    (id) => document.getElementById(id),
  );
  const known = JSON.parse(document.getElementById("known").textContent);
  const plain = (name) => name.replace(/[^A-Za-z0-9_.-]+/g, "_");

  const sameNames = (one, other) => one.length === other.length && [...one].sort().every((name, at) => name === [...other].sort()[at]);

  const show = () => {
    const picked = boxes.filter((box) => box.checked);
    const first = picked.find((box) => box.value === base.value) ?? picked[0];
    const names = [first.value, ...picked.filter((box) => box !== first).map((box) => box.value)];
    const words = [first, ...picked.filter((box) => box !== first)].map((box) => box.dataset.argument);
    const folder = `compare-${names.map(plain).join("-with-")}`.slice(0, 150);
    command.textContent = [panel.dataset.command, ...words, "--out", `${panel.dataset.out}/${folder}`].join(" ");
    const before = known.find((each) => each.names[0] === names[0] && sameNames(each.names, names));
    made.hidden = !before;
    if (before) made.href = before.link;
    copied.textContent = "";
  };

  const pick = () => {
    // The oldest is the base, until another one is chosen.
    const picked = boxes.filter((box) => box.checked).sort((a, b) => a.dataset.created.localeCompare(b.dataset.created));
    block.hidden = picked.length < 2;
    hint.textContent = picked.length === 1 ? "One is picked: pick another to compare it with." : "Pick two or more results to compare them.";
    if (block.hidden) return;
    const chosen = base.dataset.chosen;
    base.replaceChildren(...picked.map((box) => new Option(box.value, box.value)));
    if (picked.some((box) => box.value === chosen)) base.value = chosen;
    show();
  };

  for (const box of boxes) box.addEventListener("change", pick);
  base.addEventListener("change", () => {
    base.dataset.chosen = base.value;
    show();
  });
  document.getElementById("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command.textContent);
      copied.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(command);
      copied.textContent = "Selected: press Ctrl+C.";
    }
  });
  for (const cell of document.querySelectorAll(".pick")) cell.hidden = false;
  document.getElementById("by-hand").hidden = true;
  panel.hidden = false;
  pick();
})();
