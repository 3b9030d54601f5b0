"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const names = JSON.parse(document.getElementById("numbers").textContent);
  const tip = document.getElementById("tip");

  // What stands behind a cell: data-n has the numbers in the order of `names`.
  const shown = (value) => (Number.isFinite(value) ? Number(value.toPrecision(5)).toString() : value > 0 ? "∞" : "−∞");
  function lines(cell) {
    const section = cell.closest("section.block"), table = cell.closest("table"), row = cell.parentElement;
    const values = cell.dataset.n ? cell.dataset.n.split("|").map((text) => (text === "" ? null : Number(text))) : [];
    const known = Object.fromEntries(names.map((name, place) => [name, values[place] ?? null]));
    const column = table.tHead.rows[0].cells[cell.cellIndex].textContent.trim();
    const found = [`${section.dataset.heading}: ${row.dataset.label}, ${column}`];
    if (known.value !== null) found.push(`${table.dataset.title}: ${shown(known.value)}`
      + (known.std !== null ? ` ± ${shown(known.std)} (standard deviation over seeds)` : ""));
    if (known.low !== null) found.push(`worse than the best by ${shown(known.low)} to ${shown(known.high)} (95 % together with all others of the column)`);
    if (known.n !== null) found.push(`n = ${shown(known.n)} questions or tokens a seed`);
    if (known.n_seeds !== null) found.push(known.n_seeds === 1 ? "one seed" : `${known.n_seeds} seeds`);
    if (known.paper !== null) found.push(`the paper prints ${shown(known.paper)}`);
    const place = cell.dataset.path || row.dataset.path;
    if (place) found.push(place);
    return found;
  }
  function show(cell) {
    tip.replaceChildren(...lines(cell).flatMap((line, place) => place ? [document.createElement("br"), line] : [line]));
    tip.hidden = false;
    const box = cell.getBoundingClientRect(), width = tip.offsetWidth, height = tip.offsetHeight;
    const left = Math.max(8, Math.min(box.left, document.documentElement.clientWidth - width - 8));
    const top = box.bottom + height + 8 > window.innerHeight ? box.top - height - 6 : box.bottom + 6;
    tip.style.left = `${left + window.scrollX}px`;
    tip.style.top = `${top + window.scrollY}px`;
    cell.setAttribute("aria-describedby", "tip");
  }
  function hide() {
    tip.hidden = true;
    all("[aria-describedby=tip]").forEach((cell) => cell.removeAttribute("aria-describedby"));
  }
  document.addEventListener("mouseover", (event) => {
    const cell = event.target.closest(".heat tbody td");
    if (cell) { hide(); show(cell); } else if (!event.target.closest("#tip")) hide();
  });
  document.addEventListener("focusin", (event) => {
    hide();
    if (event.target.matches(".heat tbody td")) show(event.target);
  });
  document.addEventListener("click", (event) => {
    const cell = event.target.closest(".heat tbody td");
    if (cell) cell.focus();
  });

  // Arrows move within a table, which is one stop of the Tab key; Escape puts the note away.
  all(".heat").forEach((table) => {
    const first = table.querySelector("tbody td");
    if (first) first.tabIndex = 0;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    const cell = document.activeElement;
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step || !cell.matches(".heat tbody td")) return;
    const rows = all("tbody tr", cell.closest("table"));
    const visible = (row) => all("td", row).filter((each) => !each.hidden);
    const row = rows[rows.indexOf(cell.parentElement) + step[0]] || cell.parentElement;
    const place = visible(cell.parentElement).indexOf(cell) + step[1];
    const next = visible(row)[place];
    if (next) { next.tabIndex = 0; cell.tabIndex = -1; next.focus(); event.preventDefault(); }
  });

  // Sorting: a column, best first, then worst first, then as it was.
  function sort(button) {
    const head = button.closest("th"), table = head.closest("table"), body = table.tBodies[0];
    const rows = all("tr", body), before = head.getAttribute("aria-sort");
    const best = table.dataset.larger === "false" ? "ascending" : "descending";
    const worst = best === "ascending" ? "descending" : "ascending";
    const next = before === best ? worst : before === worst ? null : best;
    all("th[aria-sort]", table).forEach((each) => each.removeAttribute("aria-sort"));
    const place = head.cellIndex - 1;
    const value = (row) => {
      const text = all("td", row)[place].dataset.n?.split("|")[0] ?? "";
      return text === "" ? NaN : Number(text);
    };
    const sign = next === "ascending" ? 1 : -1;
    rows.sort((a, b) => {
      if (next === null) return a.dataset.place - b.dataset.place;
      const [x, y] = [value(a), value(b)];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return sign * (x - y) || a.dataset.place - b.dataset.place;
    });
    rows.forEach((row) => row.classList.toggle("rule", next === null && row.dataset.rule === "1"));
    if (next) head.setAttribute("aria-sort", next);
    body.append(...rows);
  }
  all(".heat thead button").forEach((button) => button.addEventListener("click", () => sort(button)));

  // What is shown: languages are columns and rows of heat maps, methods and models are whole blocks.
  const off = (name) => new Set(all(`input[name=${name}]:not(:checked)`).map((box) => box.value));
  function choose() {
    const languages = off("language"), methods = off("method"), models = off("model");
    all("section.block").forEach((section) => {
      section.hidden = methods.has(section.dataset.method) || models.has(section.dataset.model);
    });
    all(".heat [data-language]").forEach((each) => {
      each.hidden = each.dataset.language.split("-").some((code) => languages.has(code));
    });
    draw();
  }
  all(".toolbar input").forEach((box) => box.addEventListener("change", choose));

  // Gains with their intervals.
  const place = document.getElementById("gains");
  const gains = JSON.parse(document.getElementById("gains-data").textContent);
  const selects = ["by", "over"].map((name) => document.getElementById(`gains-${name}`));
  const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  function draw() {
    if (!place || !window.Plotly || !gains.blocks.length) return;
    const [by, over] = selects.map((select) => select.value);
    const languages = off("language"), methods = off("method"), models = off("model");
    const blocks = gains.blocks.filter((block) => !methods.has(block.method) && !models.has(block.model));
    const codes = gains.languages.filter((code) => !languages.has(code.split("-")[0]));
    const narrow = place.clientWidth < 600;
    let unit = "";
    const traces = blocks.map((block, index) => {
      const lines = block.lines.filter((line) => line.by === by && over in line.gains && codes.includes(line.language));
      const found = lines.map((line) => line.gains[over]);
      if (found.length) unit = found[0].unit;
      const offset = (index + 1) / (blocks.length + 1) - 0.5;
      return {
        type: "scatter", mode: "markers", name: narrow ? plain(block.heading).replaceAll(", ", ",<br>") : plain(block.heading), x: found.map((each) => each.gain),
        y: lines.map((line) => codes.indexOf(line.language) + offset),
        marker: { color: gains.colours[index % gains.colours.length], size: 7,
          symbol: ["circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x", "star"][index % 8] },
        error_x: { type: "data", symmetric: false, thickness: 1.4, width: 0,
          array: found.map((each) => each.high - each.gain), arrayminus: found.map((each) => each.gain - each.low) },
        text: lines.map((line, at) => `${line.language.toUpperCase()}, ${plain(block.heading)}<br>${shown(found[at].gain)} `
          + `(${shown(found[at].low)} to ${shown(found[at].high)}) ${found[at].unit}, ${found[at].verdict}<br>`
          + `p = ${shown(found[at].p_corrected)}, corrected for all comparisons of this language's calibrations, n = ${found[at].items}`),
        hovertemplate: "%{text}<extra></extra>",
      };
    });
    window.Plotly.react(place, traces, {
      height: 110 + codes.length * Math.max(38, blocks.length * 9) + (narrow ? 36 * blocks.length : 0),
      margin: { l: 40, r: 12, t: 8, b: 46 }, showlegend: true, hovermode: "closest",
      legend: narrow ? { orientation: "h", y: -0.12, font: { size: 11 } } : { font: { size: 12 } },
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: "#16202a" },
      xaxis: { title: { text: `gain over ${over} [${unit}]`, standoff: 8 }, rangemode: "tozero", zeroline: true, zerolinecolor: "#16202a" },
      yaxis: { tickvals: codes.map((_, at) => at), ticktext: codes.map((code) => code.toUpperCase()),
        range: [codes.length - 0.5, -0.5], showgrid: false, zeroline: false,
        minor: { tickvals: codes.map((_, at) => at + 0.5), showgrid: true, gridcolor: "#dfe4e8" } },
    }, { responsive: true, displaylogo: false, displayModeBar: false });
  }
  // On paper every list is open.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    closed.forEach((each) => { each.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((each) => { each.open = false; }));
  selects.forEach((select) => select && select.addEventListener("change", draw));
  draw();
  document.documentElement.dataset.ready = "yes";
})();
