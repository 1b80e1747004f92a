"use strict";
// The explorer's controls: the reader's choice is kept in the address and drawn by LoopwiseChart.
(() => {
  const { FACTORS, number, values, varying, rows, crowded, spec, csv } = LoopwiseChart;
  const section = document.getElementById("explore");
  const card = section.querySelector(".explorer");
  const part = (name) => card.querySelector(`[data-part="${name}"]`);
  const drawing = card.querySelector(".drawing");
  const tip = card.querySelector(".tip");
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const PREFIX = "#explore?";
  const differing = varying(data.cases);
  const offer = (factors, ...always) => factors.filter((factor) => always.includes(factor) || differing.includes(factor));
  const filterable = offer(["workload", "mode", "workers", "server", "load"]);
  const offered = {
    metric: data.metrics.map((each) => each.id),
    x: offer(["workers", "mode", "workload", "server", "load", "users", "rate_rps", "case"], "case", "mode"),
    colour: offer(["mode", "workers", "workload", "server", "load", "none"], "none", "mode"),
    panels: ["none", ...filterable],
  };

  const usual = () => ({
    metric: data.metrics[0].id,
    x: ["rate_rps", "workers", "mode"].find((factor) => differing.includes(factor)) ?? offered.x[0],
    colour: differing.includes("mode") || !differing.includes("workload") ? "mode" : "workload",
    panels: differing.includes("workload") && values(data.cases, "workload").length <= 12 ? "workload" : "none",
    log: false,
    same: false,
    kept: Object.fromEntries(filterable.map((factor) => [factor, new Set(values(data.cases, factor))])),
  });

  // The choice in the address, as far as this report offers it.
  const read = () => {
    const choice = usual();
    if (!location.hash.startsWith(PREFIX)) return choice;
    const query = new URLSearchParams(location.hash.slice(PREFIX.length));
    for (const [name, allowed] of Object.entries(offered)) if (allowed.includes(query.get(name))) choice[name] = query.get(name);
    for (const name of ["log", "same"]) choice[name] = query.get(name) === "1";
    for (const factor of filterable) {
      const kept = query.getAll(factor).filter((value) => choice.kept[factor].has(value));
      if (kept.length) choice.kept[factor] = new Set(kept);
    }
    return choice;
  };

  const address = () => {
    const query = new URLSearchParams();
    for (const name of Object.keys(offered)) query.set(name, choice[name]);
    for (const name of ["log", "same"]) if (choice[name]) query.set(name, "1");
    for (const factor of filterable) {
      if (choice.kept[factor].size < values(data.cases, factor).length) for (const value of choice.kept[factor]) query.append(factor, value);
    }
    return PREFIX + query;
  };

  let choice = read();
  let view = null;
  let shown = [];

  const element = (name, properties, ...inside) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...inside);
    return made;
  };

  // Controls.
  const control = (name) => card.querySelector(`[data-choice="${name}"]`);
  const title = { metric: (id) => data.metrics.find((each) => each.id === id).label, x: (id) => FACTORS[id].label };
  title.colour = title.panels = (id) => (id === "none" ? "none" : FACTORS[id].label);
  for (const [name, ids] of Object.entries(offered)) {
    control(name).append(...ids.map((id) => element("option", { value: id }, title[name](id))));
    control(name).addEventListener("change", (event) => {
      choice[name] = event.target.value;
      changed();
    });
  }
  for (const name of ["log", "same"]) {
    control(name).addEventListener("change", (event) => {
      choice[name] = event.target.checked;
      changed();
    });
  }
  const ticks = [];
  for (const factor of filterable) {
    const field = element("fieldset", {}, element("legend", {}, FACTORS[factor].label));
    for (const value of values(data.cases, factor)) {
      const box = element("input", { type: "checkbox", value });
      box.addEventListener("change", () => {
        if (box.checked) choice.kept[factor].add(value);
        else choice.kept[factor].delete(value);
        changed();
      });
      ticks.push({ box, factor, value });
      field.append(element("label", { className: "tick" }, box, ` ${value}`));
    }
    card.querySelector(".factors").append(field);
  }
  card.querySelector(".factors").parentNode.hidden = !filterable.length;

  const reflect = () => {
    for (const name of Object.keys(offered)) control(name).value = choice[name];
    for (const name of ["log", "same"]) control(name).checked = choice[name];
    control("same").parentNode.hidden = choice.panels === "none";
    for (const { box, factor, value } of ticks) box.checked = choice.kept[factor].has(value);
    part("chosen").textContent = `${shown.length} of ${data.cases.length} cases`;
  };

  // The library is unpacked once; the page opens without it.
  let loading = null;
  const library = () => {
    loading ??= (async () => {
      const packed = Uint8Array.from(atob(document.getElementById("explorer-library").textContent), (char) => char.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
      document.head.append(element("script", { textContent: await new Response(stream).text() }));
      if (!globalThis.loopwiseEmbed) throw new Error("the library did not start");
    })();
    return loading;
  };

  const ink = () => {
    const page = getComputedStyle(document.documentElement);
    const colour = (name) => {
      const probe = element("span", {});
      probe.style.color = `var(--${name})`;
      card.append(probe);
      const value = getComputedStyle(probe).color;
      probe.remove();
      return value;
    };
    const names = ["ink", "muted", "grid", "line", "card", "accent"];
    return { ...Object.fromEntries(names.map((name) => [name, colour(name)])), font: page.getPropertyValue("--sans").trim() };
  };

  const metric = () => data.metrics.find((each) => each.id === choice.metric);
  const interval = (row) => (row.low === null || row.high === null ? "" : `[${number(row.low)}, ${number(row.high)}]`);
  const measured = (row) => (row.value === null ? "not known" : [number(row.value), interval(row), metric().unit].filter(Boolean).join(" "));

  // Tooltip: texts only, whatever a case is called.
  const point = (event, row) => {
    if (!row || row.name === undefined) {
      tip.hidden = true;
      return;
    }
    const lines = [element("b", {}, row.name)];
    if (row.invalid !== null) lines.push(element("span", {}, `✕ invalid: ${row.invalid}`));
    else lines.push(element("span", {}, `${metric().label}: ${measured(row)}`), element("span", { className: "soft" }, `${row.replicates} replicate${row.replicates === 1 ? "" : "s"}; click for the case`));
    tip.replaceChildren(...lines);
    tip.hidden = false;
    const box = card.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(event.clientX - box.left + 14, box.width - tip.offsetWidth - 8))}px`;
    tip.style.top = `${event.clientY - box.top + 16}px`;
  };

  let wanted = 0;
  const draw = async () => {
    const turn = (wanted += 1);
    shown = rows(data, choice);
    reflect();
    describe();
    if (!isDue) return;
    try {
      await library();
      if (turn !== wanted) return;
      const width = Math.floor(drawing.clientWidth);
      const place = element("div", {});
      const made = await globalThis.loopwiseEmbed(place, spec(data, choice, shown, width, ink()), {
        mode: "vega-lite",
        renderer: "svg",
        actions: false,
        logLevel: 1, // errors: a panel without a valid case is no reason to warn
        ast: true, // expressions are interpreted: the page's policy forbids to compile any
        tooltip: (handler, event, item) => point(event, item && item.datum),
      });
      if (turn !== wanted) return made.finalize();
      view?.finalize();
      view = made;
      view.view.addEventListener("mousemove", (event, item) => point(event, item && item.datum));
      view.view.addEventListener("mouseout", () => (tip.hidden = true));
      view.view.addEventListener("click", (_event, item) => {
        if (item?.datum?.link) location.hash = item.datum.link;
      });
      drawing.replaceChildren(place);
      drawing.dataset.drawn = String(turn);
    } catch (error) {
      part("status").textContent = `The chart could not be drawn in this browser (${error.message}); its figures are in the table below.`;
    }
  };

  const describe = () => {
    const invalid = shown.filter((row) => row.invalid !== null).length;
    const missing = shown.filter((row) => row.invalid === null && row.value === null).length;
    const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;
    part("status").textContent = [
      `${plural(shown.length, "case", "cases")}; a line through a mark is its ${data.confidence * 100} % interval.`,
      invalid ? `${plural(invalid, "invalid case is", "invalid cases are")} marked ✕ and ${invalid === 1 ? "has" : "have"} no number.` : "",
      missing ? `${plural(missing, "case does", "cases do")} not have this figure.` : "",
      crowded(shown) ? "Some cases share a place: they differ neither in axis nor in colour nor in panel." : "",
    ].join(" ").trim();
    part("figures").replaceChildren(
      ...shown.map((row) => {
        const cells = row.invalid === null ? [row.value === null ? "–" : number(row.value), interval(row), String(row.replicates)] : ["✕ invalid", "", ""];
        const name = element("th", { scope: "row" }, element("a", { href: `#${row.case.link}` }, row.name));
        return element("tr", {}, name, ...cells.map((each) => element("td", { className: "num" }, each)));
      }),
    );
    drawing.setAttribute("aria-label", `Comparison chart: ${title.metric(choice.metric)} by ${title.x(choice.x)}, ${shown.length} cases. Its figures are in the table below.`);
  };

  const changed = () => {
    history.replaceState(null, "", address());
    draw();
  };

  // Downloads and the link.
  const save = (blob, ending) => {
    const url = URL.createObjectURL(blob);
    const name = `${data.name}-${choice.metric}`.replace(/[^\w.-]+/g, "-").slice(0, 120);
    element("a", { href: url, download: `${name}.${ending}` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };
  const acts = {
    svg: async () => view && save(new Blob([await view.view.toSVG()], { type: "image/svg+xml" }), "svg"),
    png: async () => {
      if (!view) return;
      const canvas = await view.view.toCanvas(2);
      canvas.toBlob((blob) => save(blob, "png"), "image/png");
    },
    csv: () => save(new Blob([csv(data, choice, shown)], { type: "text/csv" }), "csv"),
    link: async (button) => {
      history.replaceState(null, "", address());
      try {
        await navigator.clipboard.writeText(location.href);
        button.textContent = "Copied";
      } catch {
        button.textContent = "The link is in the address bar";
      }
      setTimeout(() => (button.textContent = "Copy link"), 2000);
    },
  };
  for (const button of card.querySelectorAll("[data-act]")) button.addEventListener("click", () => acts[button.dataset.act](button));

  let isDue = false;
  section.querySelector(".without").remove();
  card.hidden = false;
  reflect();
  draw();
  // The library is unpacked after the first frame, wherever the reader is: a screenshot or a print of the whole page has the chart.
  requestAnimationFrame(() =>
    setTimeout(() => {
      isDue = true;
      draw();
    }),
  );

  const arrive = () => {
    if (!location.hash.startsWith(PREFIX)) return;
    choice = read();
    draw();
    section.scrollIntoView();
  };
  addEventListener("hashchange", arrive);
  arrive();
  document.addEventListener("loopwise:theme", draw);
  let width = drawing.clientWidth;
  new ResizeObserver(() => {
    if (!isDue || Math.abs(drawing.clientWidth - width) < 24) return;
    width = drawing.clientWidth;
    draw();
  }).observe(drawing);
})();
