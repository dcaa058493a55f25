(() => {
  "use strict";
  const root = document.documentElement;
  const each = (selector, act) => document.querySelectorAll(selector).forEach(act);
  const value = (name) => document.querySelector(`input[name="${name}"]:checked, input[type=hidden][name="${name}"]`)?.value;

  // Theme: what the system says, until the reader chooses.
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const themeButton = document.getElementById("theme");
  const showTheme = () => { themeButton.setAttribute("aria-pressed", String(dark())); drawAll(); };
  try { root.dataset.theme = localStorage.getItem("leanformer-theme") ?? ""; } catch { /* private window */ }
  themeButton.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("leanformer-theme", root.dataset.theme); } catch { /* private window */ }
    showTheme();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);

  // Charts: the specifications name CSS variables, which are put in here.
  const specs = JSON.parse(document.getElementById("specs")?.textContent ?? "{}");
  const probe = document.body.appendChild(document.createElement("i"));
  probe.hidden = true;
  const colour = (name) => { probe.style.color = name; return getComputedStyle(probe).color; };
  const resolve = (item) => {
    if (typeof item === "string") return item.startsWith("var(--") ? colour(item) : item;
    if (Array.isArray(item)) return item.map(resolve);
    if (item && typeof item === "object") return Object.fromEntries(Object.entries(item).map(([key, part]) => [key, resolve(part)]));
    return item;
  };
  // Money is time at the reader's price: a second row of ticks, and a line of the cards.
  const price = document.getElementById("price");
  const money = (seconds) => (seconds / 3600 * price.valueAsNumber).toLocaleString("en", { maximumSignificantDigits: 2 });
  const priced = (spec) => {
    if (!price || !(price.valueAsNumber >= 0)) return spec;
    const ticks = spec.layout.xaxis;
    const xaxis = { ...ticks, ticktext: ticks.ticktext.map((text, index) => `${text}<br>${money(ticks.tickvals[index])}`) };
    const card = (text, seconds) => `${text}<br>${money(seconds)} per million texts at ${price.value} per core-hour`;
    const data = spec.data.map((trace) => trace.hovertext ? { ...trace, hovertext: trace.hovertext.map((text, index) => card(text, trace.x[index])) } : trace);
    return { ...spec, data, layout: { ...spec.layout, xaxis } };
  };
  const draw = (chart) => {
    const plain = specs[chart.dataset.chart];
    const spec = plain && chart.dataset.chart.startsWith("front/cost/") ? priced(plain) : plain;
    if (!spec || !window.Plotly || chart.offsetParent === null) return;
    const layout = resolve(spec.layout);
    layout.font.family = getComputedStyle(document.body).fontFamily;
    layout.hoverlabel.font.family = layout.font.family;
    layout.dragmode = matchMedia("(pointer: coarse)").matches ? false : "zoom";
    if (chart.clientWidth < 520) { layout.font.size = 12; layout.margin.r = 10; }
    const data = resolve(spec.data).map((trace) => ({ ...trace, visible: !hidden.has(`${chart.dataset.chart}/${trace.name}`) }));
    Plotly.react(chart, data, layout, { responsive: true, displayModeBar: false });
    legend(chart, data.filter((trace) => trace.name && trace.showlegend !== false));
  };
  // The legend is text beside the chart, so that it wraps as text does; a click hides what it names.
  const hidden = new Set();
  const glyphs = { diamond: "◆", square: "■", "triangle-up": "▲", cross: "✚", "triangle-down": "▼", x: "✖", circle: "●", star: "★", pentagon: "⬟", hexagon: "⬢", "arrow-down": "▼", "diamond-tall": "♦", "circle-open": "○", "star-open": "☆", "triangle-up-open": "△", "hexagon-open": "⬡" };
  const legend = (chart, traces) => {
    const list = chart.parentElement.querySelector(".legend");
    list.replaceChildren(...(traces.length > 1 ? traces : []).map((trace) => {
      const key = `${chart.dataset.chart}/${trace.name}`;
      const [item, button, mark] = ["li", "button", "i"].map((tag) => document.createElement(tag));
      const line = trace.mode !== "markers" && trace.type !== "bar";
      const look = trace.meta ?? trace.marker; // a hollow mark is filled with the paper's colour
      mark.textContent = line ? "" : glyphs[look.symbol];
      mark.style.cssText = line ? `border-top: 2px ${{ dash: "dashed", dot: "dotted" }[trace.line.dash] ?? "solid"} ${trace.line.color}` : `color: ${look.color}`;
      mark.className = line ? "line" : "";
      mark.ariaHidden = "true";
      button.type = "button";
      button.append(mark, new DOMParser().parseFromString(trace.name, "text/html").body.textContent);
      button.setAttribute("aria-pressed", String(trace.visible));
      button.addEventListener("click", () => {
        if (!hidden.delete(key)) hidden.add(key);
        const index = [...list.children].indexOf(item);
        draw(chart);
        list.children[index]?.firstElementChild.focus();
      });
      item.append(button);
      return item;
    }));
  };
  const drawAll = () => each(".chart", draw);
  const front = document.getElementById("front-chart");
  const showFront = () => {
    if (!front) return;
    front.dataset.chart = `front/${value("axis")}/${value("split")}`;
    const spec = specs[front.dataset.chart];
    document.getElementById("better").textContent = spec?.better ?? "";
    document.getElementById("missing").textContent = spec?.missing ?? "";
    if (price) document.getElementById("price-of").hidden = value("axis") !== "cost";
    draw(front);
  };
  if (price) price.addEventListener("input", showFront);
  each('input[name="axis"], input[name="split"]', (input) => input.addEventListener("change", showFront));
  each("details", (details) => details.addEventListener("toggle", () => details.querySelectorAll(".chart").forEach(draw)));

  // Tables: a click on a heading sorts, figures from the largest.
  each("table[data-sortable]", (table) => {
    const headings = [...table.tHead.rows[0].cells];
    const key = (row, index) => {
      const text = row.cells[index].dataset.sort;
      return text === undefined || text === "" ? null : Number.isNaN(Number(text)) ? text : Number(text);
    };
    const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    headings.forEach((heading, index) => heading.querySelector("button").addEventListener("click", () => {
      const first = heading.classList.contains("num") ? "descending" : "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      const order = heading.getAttribute("aria-sort") === first ? second : first;
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", order);
      const rows = [...table.tBodies[0].rows].map((row) => [key(row, index), row]);
      rows.sort(([a], [b]) => a === null || b === null ? (a === null) - (b === null) : (order === "ascending" ? 1 : -1) * compare(a, b));
      table.tBodies[0].append(...rows.map(([, row]) => row));
    }));
  });

  // Disagreements: filter by words and by who is right.
  const filter = document.getElementById("filter");
  const showTexts = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const right = value("right");
    const rows = [...document.getElementById("texts").tBodies[0].rows];
    rows.forEach((row) => {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word)) || (right !== "all" && row.dataset.right !== right);
    });
    const shown = rows.filter((row) => !row.hidden).length;
    document.getElementById("filtered").textContent = `${shown} of ${rows.length}`;
  };
  if (filter) {
    filter.addEventListener("input", showTexts);
    each('input[name="right"]', (input) => input.addEventListener("change", showTexts));
    showTexts();
  }

  each("[data-copy]", (button) => button.addEventListener("click", async () => {
    const code = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code); // no clipboard here: the text is selected to be copied by hand
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1600);
  }));
  addEventListener("beforeprint", () => each("details", (details) => { details.open = true; }));

  showFront();
  showTheme();
})();
