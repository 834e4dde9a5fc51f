/* Filters, the table of runs, and charts. Text only ever becomes text: nothing is put together as HTML. */
(() => {
  "use strict";

  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const marks = { passed: "✓", failed: "✗", error: "!", interrupted: "■" };

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  const duration = (seconds) => {
    if (seconds < 1) return `${seconds.toFixed(2)} s`;
    if (seconds < 60) return `${seconds.toFixed(1)} s`;
    const whole = Math.round(seconds);
    const minutes = Math.floor(whole / 60);
    if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
    return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
  };

  const chosenIn = (form) => all("select", form).filter((select) => select.value);
  const wordsIn = (form) => {
    const field = form.querySelector("input[type=search]");
    return field ? field.value.toLowerCase().split(/\s+/).filter(Boolean) : [];
  };
  const counted = (shown, total, what) => (shown === total ? `${total} ${what}` : `${shown} of ${total} ${what}`);

  /* what a filter says is kept in the address, so that a filtered page can be shared */
  const remember = (form) => {
    const state = new URLSearchParams();
    for (const field of all("select, input", form)) if (field.value) state.set(field.name, field.value);
    const query = state.toString();
    try {
      history.replaceState(null, "", query ? `?${query}` : location.pathname);
    } catch { /* some browsers refuse this for files on a disk */ }
  };
  const recall = (form) => {
    const state = new URLSearchParams(location.search);
    for (const field of all("select, input", form)) if (state.has(field.name)) field.value = state.get(field.name);
  };
  const watch = (form, show) => {
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    recall(form);
    form.addEventListener("input", () => { remember(form); show(); });
    show();
  };

  /* rows or sections that are in the page already */
  const filterElements = (form, elements, what) => {
    const count = form.querySelector(".count");
    watch(form, () => {
      const words = wordsIn(form);
      const chosen = chosenIn(form);
      let shown = 0;
      for (const one of elements) {
        const text = words.length ? one.textContent.toLowerCase() : "";
        const fits = chosen.every((select) => one.dataset[select.name] === select.value)
          && words.every((word) => text.includes(word));
        one.hidden = !fits;
        shown += fits;
      }
      count.textContent = counted(shown, elements.length, what);
    });
  };

  /* the table of all runs, a page at a time */
  const ROWS = 50;
  const COLUMNS = { outcome: 2, plan: 3, backend: 6, image: 7 };
  const runRow = ([page, started, outcome, plan, failure, on, , , seconds]) => element("tr", {},
    element("th", { scope: "row" }, element("a", { href: page }, started)),
    element("td", { class: "right-on-phone" }, element("span", { class: "outcome-word", "data-tone": outcome },
      element("span", { "aria-hidden": "true" }, marks[outcome] ?? "■"), ` ${outcome}`)),
    element("td", { class: "wide" }, element("b", {}, plan),
      ...(failure ? [" ", element("span", { class: "soft" }, failure)] : [])),
    element("td", { class: "wide" }, on),
    element("td", { class: "right" }, duration(seconds)));

  const showRuns = (form, runs) => {
    const body = document.querySelector("#runs-table tbody");
    const count = document.querySelector(".count");
    const pages = document.querySelector(".pages");
    const texts = runs.map((run) => run.join(" ").toLowerCase());
    let found = [];
    let first = 0;
    const draw = () => {
      body.replaceChildren(...found.slice(first, first + ROWS).map(runRow));
      count.textContent = counted(found.length, runs.length, runs.length === 1 ? "run" : "runs");
      pages.hidden = found.length <= ROWS;
      pages.querySelector("span").textContent = `${first + 1} to ${Math.min(first + ROWS, found.length)}`;
      const [newer, older] = all("button", pages);
      newer.disabled = first === 0;
      older.disabled = first + ROWS >= found.length;
    };
    for (const button of all("button", pages)) {
      button.addEventListener("click", () => {
        first += ROWS * Number(button.dataset.step);
        draw();
        document.querySelector("#runs-table").scrollIntoView({ block: "nearest" });
      });
    }
    watch(form, () => {
      const words = wordsIn(form);
      const chosen = chosenIn(form);
      found = runs.filter((run, at) => chosen.every((select) => run[COLUMNS[select.name]] === select.value)
        && words.every((word) => texts[at].includes(word)));
      first = 0;
      draw();
    });
  };

  /* a choice that shows one of several elements */
  const pick = (select) => {
    const show = () => all("option", select).forEach((option) => {
      document.getElementById(option.value).hidden = option.value !== select.value;
    });
    select.addEventListener("input", show);
    show();
  };

  /* charts */
  const resolved = (name) => {
    const probe = element("span", { style: `color: var(${name})` });
    document.querySelector(".kvm-e2e").append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  const dashes = [[], [6, 4], [2, 3], [10, 3, 2, 3]];
  const shapes = ["circle", "rect", "triangle", "rectRot"];

  const whiskers = {
    id: "whiskers",
    afterDatasetsDraw(chart, _arguments, { lines, ink }) {
      const { ctx, scales: { y } } = chart;
      ctx.save();
      ctx.strokeStyle = ink;
      ctx.lineWidth = 1.5;
      lines.forEach((line, of) => chart.getDatasetMeta(of).data.forEach((bar, at) => {
        if (line.low?.[at] == null) return;
        const [low, high] = [y.getPixelForValue(line.low[at]), y.getPixelForValue(line.high[at])];
        ctx.beginPath();
        ctx.moveTo(bar.x, low);
        ctx.lineTo(bar.x, high);
        for (const end of [low, high]) { ctx.moveTo(bar.x - 4, end); ctx.lineTo(bar.x + 4, end); }
        ctx.stroke();
      }));
      ctx.restore();
    },
  };

  const short = (seconds) => {
    if (seconds < 60 || seconds % 60) return `${Number(seconds.toFixed(2))} s`;
    return seconds < 3600 || seconds % 3600 ? `${seconds / 60} min` : `${seconds / 3600} h`;
  };

  /* marks at round times, not at 1 min 40 s */
  const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
  const spacing = (spec) => {
    const most = Math.max(...spec.lines.flatMap(({ values, high }) => [...values, ...(high ?? [])]).filter(Number.isFinite), 0.1);
    return STEPS.find((step) => most / step <= 6) ?? most / 5;
  };

  const told = (spec, of, at) => {
    const { name, values, low, high } = spec.lines[of];
    const between = low?.[at] == null ? "" : ` (${duration(low[at])} to ${duration(high[at])})`;
    return `${name}: ${values[at] == null ? "not measured" : duration(values[at])}${between}`;
  };

  const options = (spec, colours, canvas) => {
    const { ink, soft, line } = colours;
    return {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      onClick: (_event, active) => { if (active.length && spec.links.length) location.href = spec.links[active[0].index]; },
      onHover: (_event, active) => { canvas.style.cursor = active.length && spec.links.length ? "pointer" : ""; },
      scales: {
        x: { ticks: { color: soft, maxRotation: 0, autoSkip: spec.kind === "line", autoSkipPadding: 24,
          callback(value) { const label = this.getLabelForValue(value); return spec.kind === "line" ? label.slice(0, 10) : label.split(" "); } },
          grid: { display: false } },
        y: { beginAtZero: true, ticks: { color: soft, stepSize: spacing(spec), callback: short }, grid: { color: line }, border: { display: false } },
      },
      plugins: {
        legend: { position: "bottom", labels: { color: ink, usePointStyle: true, boxHeight: 7 } },
        tooltip: { callbacks: { label: ({ datasetIndex, dataIndex }) => told(spec, datasetIndex, dataIndex) } },
        whiskers: { lines: spec.lines, ink },
      },
    };
  };

  const dataset = (spec, colours) => (line, at) => {
    const tone = colours.tones[at % colours.tones.length];
    const plain = { label: line.name, data: line.values, borderColor: tone, backgroundColor: tone };
    return spec.kind === "bars" ? { ...plain, borderRadius: 2, pointStyle: "rect", maxBarThickness: 46 } : {
      ...plain, borderWidth: 2, borderDash: dashes[at % dashes.length], pointStyle: shapes[at % shapes.length],
      pointRadius: line.values.length > 40 ? 2 : 3.5, pointHoverRadius: 6, spanGaps: true, tension: 0,
    };
  };

  const draw = (figure) => {
    const spec = JSON.parse(figure.querySelector("script").textContent);
    const canvas = figure.querySelector("canvas");
    figure.querySelector(".canvas").hidden = false;
    const colours = () => ({
      ink: resolved("--ink"), soft: resolved("--soft"), line: resolved("--line"),
      tones: ["--theirs", "--warn", "--good", "--stop"].map(resolved),
    });
    const now = colours();
    const chart = new Chart(canvas, {
      type: spec.kind === "bars" ? "bar" : "line",
      data: { labels: spec.labels, datasets: spec.lines.map(dataset(spec, now)) },
      options: options(spec, now, canvas),
      plugins: spec.kind === "bars" ? [whiskers] : [],
    });
    steer(figure, canvas, chart, spec);
    return () => {
      const fresh = colours();
      chart.data.datasets = spec.lines.map(dataset(spec, fresh));
      chart.options = options(spec, fresh, canvas);
      chart.update();
    };
  };

  /* arrow keys: what the pointer does, for those who have none; what is shown is also said */
  const steer = (figure, canvas, chart, spec) => {
    const said = figure.querySelector("[aria-live]");
    let at = spec.labels.length;
    const point = () => {
      const active = spec.lines.map((_line, datasetIndex) => ({ datasetIndex, index: at }))
        .filter(({ datasetIndex }) => spec.lines[datasetIndex].values[at] != null);
      chart.setActiveElements(active);
      const place = active.length ? chart.getDatasetMeta(active[0].datasetIndex).data[at] : { x: 0, y: 0 };
      chart.tooltip.setActiveElements(active, { x: place.x, y: place.y });
      chart.update();
      said.textContent = `${spec.labels[at]}: ${spec.lines.map((_line, of) => told(spec, of, at)).join(", ")}`;
    };
    canvas.addEventListener("keydown", (event) => {
      const last = spec.labels.length - 1;
      const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last };
      if (event.key === "Enter" && spec.links[at]) { location.href = spec.links[at]; return; }
      if (!(event.key in moves)) return;
      event.preventDefault();
      at = Math.max(0, Math.min(last, moves[event.key]));
      point();
    });
  };

  const start = () => {
    const forms = Object.fromEntries(all("form[data-filters]").map((form) => [form.dataset.filters, form]));
    if (forms.runs && window.kvmE2eRuns) showRuns(forms.runs, window.kvmE2eRuns);
    if (forms.checks) filterElements(forms.checks, all("tr[data-row]"), "checks");
    if (forms.bench) filterElements(forms.bench, all("section.bench"), "comparisons");
    const redraw = window.Chart ? all("figure.chart").map(draw) : [];
    if (!window.Chart) all("figure.chart:not(:has(table))").forEach((figure) => { figure.hidden = true; });
    all("select[data-shows]").forEach(pick);
    new MutationObserver(() => redraw.forEach((again) => again()))
      .observe(document.body, { attributes: true, attributeFilter: ["data-md-color-scheme"] });
  };
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
