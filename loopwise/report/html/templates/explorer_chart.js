"use strict";
// Turns the explorer's data and a reader's choice into rows, and rows into a Vega-Lite chart. Pure: no page, no clicks.
const LoopwiseChart = (() => {
  const FACTORS = {
    workload: { label: "Workload", of: (one) => one.workload },
    mode: { label: "Mode", of: (one) => one.mode },
    workers: { label: "Workers", of: (one) => one.workers, steps: true },
    server: { label: "Server", of: (one) => one.server },
    load: { label: "Load", of: (one) => one.load },
    users: { label: "Users", of: (one) => one.users, steps: true },
    rate_rps: { label: "Offered rate, requests/s", of: (one) => one.rate_rps, measured: true },
    case: { label: "Case", of: (one) => one.name },
  };
  const isOrdered = (factor) => Boolean(FACTORS[factor]?.steps || FACTORS[factor]?.measured);
  const LONG = 10; // names that fit side by side along an axis

  const text = (value) => (value === null || value === undefined ? "none" : String(value));
  const natural = (a, b) => a.localeCompare(b, "en", { numeric: true });

  const number = (value) => {
    if (value === null || value === undefined) return "–";
    if (value === 0) return "0";
    const digits = Math.abs(value) >= 1000 ? { maximumSignificantDigits: 3 } : { minimumSignificantDigits: 3, maximumSignificantDigits: 3 };
    return value.toLocaleString("en", digits);
  };

  // Values of a factor in the order of the suite, numbers by size.
  const values = (cases, factor) => {
    const distinct = [...new Set(cases.map((one) => text(FACTORS[factor].of(one))))];
    return isOrdered(factor) ? distinct.sort(natural) : distinct;
  };

  const varying = (cases) => Object.keys(FACTORS).filter((factor) => values(cases, factor).length > 1);

  const rows = (data, choice) => {
    const index = data.metrics.findIndex((each) => each.id === choice.metric);
    const pick = (one, factor) => (factor === "none" ? "" : text(FACTORS[factor].of(one)));
    return data.cases
      .filter((one) => Object.entries(choice.kept).every(([factor, kept]) => kept.has(text(FACTORS[factor].of(one)))))
      .map((one) => {
        const cell = one.cells[index] ?? [null, null, null, 0];
        return {
          case: one,
          name: one.name,
          x: FACTORS[choice.x].measured ? FACTORS[choice.x].of(one) : pick(one, choice.x),
          colour: pick(one, choice.colour),
          panel: pick(one, choice.panels),
          // A line joins cases that differ in nothing but the axis.
          line: ["workload", "mode", "workers", "server", "load", "users"]
            .filter((factor) => factor !== choice.x && !(factor === "load" && ["users", "rate_rps"].includes(choice.x)))
            .map((factor) => text(FACTORS[factor].of(one)))
            .join("\u0000"),
          value: cell[0],
          low: cell[1],
          high: cell[2],
          replicates: cell[3],
          invalid: one.invalid,
        };
      });
  };

  // Whether rows share place, colour and panel, so that the reader can't tell them apart.
  const crowded = (shown) => {
    const seen = new Set();
    return shown.some((row) => {
      const place = JSON.stringify([row.x, row.colour, row.panel]);
      return seen.size === seen.add(place).size;
    });
  };

  const stylesOf = (data, choice, names) => {
    const series = Object.values(data.styles);
    return names.map((name, index) => {
      const own = choice.colour === "mode" ? data.styles[name] : undefined;
      if (own) return own;
      // Beyond the palette, another marker sets a colour's second use apart.
      const style = series[index % series.length];
      const shifted = series[(index + Math.floor(index / series.length)) % series.length];
      return { ...style, shape: shifted.shape };
    });
  };

  const layers = (choice, metric, turned, joined, axis, styles, tall) => {
    const along = turned ? "y" : "x";
    const up = turned ? "x" : "y";
    const measured = FACTORS[choice.x].measured;
    const dodge = !joined && choice.colour !== "none" && choice.colour !== choice.x;
    const place = {
      [along]: {
        field: "x",
        type: measured ? "quantitative" : "nominal",
        sort: axis.order,
        title: FACTORS[choice.x].label,
        scale: measured ? { zero: false, nice: true, padding: 12 } : { paddingInner: 0.25, paddingOuter: 0.25 },
        axis: { labelAngle: turned ? 0 : axis.angle, labelLimit: turned ? 170 : 120, grid: false },
      },
      ...(dodge ? { [`${along}Offset`]: { field: "colour", type: "nominal", sort: axis.colours } } : {}),
    };
    const unit = metric.unit && metric.unit !== "1/s" ? `, ${metric.unit}` : "";
    const scale = choice.log ? { type: "log", nice: true } : { zero: true, nice: true };
    const height = {
      field: "value",
      type: "quantitative",
      title: `${metric.label}${unit}`,
      scale,
      axis: { tickCount: 5, labelExpr: "abs(datum.value) >= 1000 ? format(datum.value, '~s') : format(datum.value, '~g')" },
    };
    const none = choice.colour === "none";
    const legend = { title: none ? null : FACTORS[choice.colour].label };
    const by = (key) => {
      const scale = { domain: axis.colours, range: styles.map((style) => style[key]) };
      return none ? {} : { field: "colour", type: "nominal", scale, legend };
    };
    const coloured = none ? {} : { color: by("colour"), shape: by("shape") };
    const line = none ? {} : { color: by("colour"), strokeDash: by("dash") };
    const known = [{ filter: "isValid(datum.value)" }, ...(choice.log ? [{ filter: "datum.value > 0" }] : [])];
    const ranged = [...known, { filter: "isValid(datum.low) && isValid(datum.high)" }, ...(choice.log ? [{ filter: "datum.low > 0" }] : [])];
    return [
      ...(joined
        ? [{ transform: known, mark: { type: "line", strokeWidth: 1.75, opacity: 0.85 }, encoding: { ...place, [up]: height, ...line, detail: { field: "line", type: "nominal" } } }]
        : []),
      { transform: ranged, mark: { type: "rule", strokeWidth: 2, aria: false }, encoding: { ...place, [up]: { ...height, field: "low" }, [`${up}2`]: { field: "high" }, ...(none ? {} : { color: by("colour") }) } },
      { transform: known, mark: { type: "point", filled: true, size: 60, opacity: 1, cursor: "pointer" }, encoding: { ...place, [up]: height, ...coloured } },
      {
        transform: [{ filter: "datum.invalid !== null" }],
        mark: { type: "text", text: "✕", fontSize: 14, fontWeight: "bold", cursor: "pointer", color: { expr: "void_colour" } },
        encoding: { ...place, [up]: { value: turned ? 9 : tall - 9 } },
      },
    ];
  };

  // A Vega-Lite chart of these rows, `width` pixels wide, in the colours of the page.
  const spec = (data, choice, shown, width, ink) => {
    const metric = data.metrics.find((each) => each.id === choice.metric);
    const distinct = (key, factor) => {
      const found = [...new Set(shown.map((row) => row[key]))];
      return FACTORS[factor]?.steps ? found.sort(natural) : found;
    };
    const [order, colours, panels] = [distinct("x", choice.x), distinct("colour", choice.colour), distinct("panel", choice.panels)];
    const joined = isOrdered(choice.x) && order.length > 1;
    const longest = Math.max(0, ...order.map((each) => String(each).length));
    const many = panels.length > 1;
    const columns = !many ? 1 : width > 900 && panels.length > 2 ? 3 : width > 560 ? 2 : 1;
    const room = width / columns;
    const turned = !joined && (order.length > LONG || order.length * longest * 6.5 > room - 80);
    const axis = { order: joined && FACTORS[choice.x].measured ? null : order, colours, angle: 0 };
    const beside = turned ? Math.min(170, longest * 7) + 34 : 56;
    const inner = Math.max(120, Math.floor(room - beside - (many ? 14 : 6)));
    const dodged = choice.colour !== "none" && choice.colour !== choice.x && colours.length > 1;
    const tall = turned ? Math.max(120, order.length * Math.max(18, dodged ? 11 * colours.length + 8 : 18)) : many ? 200 : 300;
    const body = { width: inner, height: tall, layer: layers(choice, metric, turned, joined, axis, stylesOf(data, choice, colours), tall) };
    const value = turned ? "x" : "y";
    return {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json",
      description: `${metric.label} by ${FACTORS[choice.x].label}`,
      background: ink.card,
      padding: 4,
      params: [{ name: "void_colour", value: ink.muted }],
      data: { values: shown.map(({ case: one, ...row }) => ({ ...row, id: one.id, link: one.link })) },
      ...(many
        ? { facet: { field: "panel", type: "nominal", sort: panels, title: null, header: { labelLimit: inner + beside - 20, labelAnchor: "start" } }, columns, spec: body, resolve: { axis: { x: "independent", y: "independent" }, scale: choice.same ? {} : { [value]: "independent" } } }
        : body),
      config: config(ink, width),
    };
  };

  const config = (ink, width) => ({
    font: ink.font,
    view: { stroke: null },
    axis: { domainColor: ink.line, tickColor: ink.line, gridColor: ink.grid, labelColor: ink.muted, titleColor: ink.muted, labelFontSize: 11, titleFontSize: 11.5, titleFontWeight: "normal", titlePadding: 8 },
    legend: { orient: "top", direction: "horizontal", columns: Math.max(1, Math.floor(width / 150)), labelColor: ink.ink, titleColor: ink.muted, labelFontSize: 12, titleFontSize: 11.5, titleFontWeight: "normal", labelLimit: 220, symbolSize: 80, titleOrient: width > 560 ? "left" : "top" },
    header: { labelColor: ink.ink, labelFontSize: 13, labelFontWeight: "bold", labelPadding: 10 },
    point: { color: ink.accent },
    rule: { color: ink.accent },
    line: { color: ink.accent },
    facet: { spacing: 28 },
  });

  // RFC 4180: text with a comma, a quote or a line's end stands in quotes. Text that begins a formula has ' before it, as in summary.csv.
  const csv = (data, choice, shown) => {
    const quoted = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
    const metric = data.metrics.find((each) => each.id === choice.metric);
    const head = ["case_id", "workload", "mode", "server", "workers", "load", "metric", "unit", "value", "ci_low", "ci_high", "confidence", "replicates", "valid", "reason"];
    const lines = shown.map(({ case: one, value, low, high, replicates, invalid }) => [
      ...[one.id, one.workload, one.mode, one.server, one.workers, one.load, metric.id, metric.unit],
      ...[value, low, high, data.confidence, replicates, invalid === null, invalid],
    ]);
    const harmless = (value) => (typeof value === "string" && /^[=+\-@\t\r\n＝＋－＠]/.test(value) ? `'${value}` : String(value ?? ""));
    return [head, ...lines].map((line) => line.map((value) => quoted(harmless(value))).join(",")).join("\r\n") + "\r\n";
  };

  return { FACTORS, number, values, varying, rows, crowded, spec, csv };
})();
