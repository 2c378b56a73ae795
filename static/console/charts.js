// Draws what `data-chart` tells, with uPlot: stacked bars of numbers, lines of durations. Without it there are tables.
"use strict";
(() => {
  const HEIGHT = 168;
  const COUNT_STEPS = [1, 2, 5].flatMap((step) => [...Array(12).keys()].map((power) => step * 10 ** power)).sort((a, b) => a - b);
  const DASHES = [[], [6, 4], [2, 3]];
  const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
  const drawn = new Map(); // by the chart's key
  const opened = new Set(); // ids of tables that somebody opened

  const two = (number) => String(number).padStart(2, "0");
  const clockTime = (seconds) => {
    const at = new Date(seconds * 1000);
    return `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
  };
  const axisTime = (seconds) => {
    const time = clockTime(seconds);
    const at = new Date(seconds * 1000);
    return time === "00:00" ? `${DAYS[at.getUTCDay()]} ${at.getUTCDate()}` : time;
  };
  const hasRoom = (plot, moment) => {
    const { min, max } = plot.scales.x;
    return ((max - moment) / (max - min)) * plot.width > 24;
  };
  const spokenDuration = (milliseconds) => {
    if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
    const seconds = milliseconds / 1000;
    if (seconds < 60) return `${Number(seconds.toFixed(1))} s`;
    if (seconds < 3600) return `${Number((seconds / 60).toFixed(1))} min`;
    return `${Number((seconds / 3600).toFixed(1))} h`;
  };
  const shortNumber = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
  const wholeNumber = new Intl.NumberFormat("en");

  // Colours come from the tokens, by way of elements that have them: so they follow the theme.
  const swatch = document.createElement("i");
  swatch.className = "chart-swatch";
  swatch.setAttribute("aria-hidden", "true");
  document.body.append(swatch);
  const colourOf = (tone) => {
    swatch.className = `chart-swatch tone-${tone}`;
    return getComputedStyle(swatch).backgroundColor;
  };

  const told = (data, place) => {
    const at = new Date(data.moments[place] * 1000);
    const when = `${DAYS[at.getUTCDay()]} ${clockTime(data.moments[place])} UTC`;
    const parts = data.curves
      .map((curve) => ({ label: curve.label, value: curve.values[place] }))
      .filter((part) => part.value)
      .map((part) =>
        data.form === "lines" ? `${part.label} ${spokenDuration(part.value)}` : `${wholeNumber.format(part.value)} ${part.label}`,
      );
    return `${when}: ${parts.join(", ") || "none"}`;
  };

  // Bars are stacked: each is drawn as high as all up to it together, the highest first, so that the others cover it.
  const columns = (data) => {
    if (data.form === "lines") return [data.moments, ...data.curves.map((curve) => curve.values).reverse()];
    const sums = [];
    data.curves.forEach((curve, index) => {
      sums.push(curve.values.map((value, place) => (value || 0) + (index ? sums[index - 1][place] : 0)));
    });
    return [data.moments, ...sums.reverse()];
  };

  const seriesOf = (data) => {
    if (data.form === "lines") {
      // The lowest percentile is drawn last: where several are the same, the rarer ones shine through its gaps.
      const curves = data.curves.map((curve, index) => ({
        label: curve.label,
        stroke: () => colourOf(curve.tone),
        width: 2,
        dash: DASHES[index % DASHES.length],
        spanGaps: false,
        points: { show: true, size: 4, fill: () => colourOf(curve.tone), filter: (plot, row, show) => (show ? alone(plot, row) : null) },
      }));
      return curves.reverse();
    }
    const bars = uPlot.paths.bars({ size: [0.78, 40], align: 1 });
    return [...data.curves].reverse().map((curve) => ({
      label: curve.label,
      stroke: () => colourOf(curve.tone),
      fill: () => colourOf(curve.tone),
      width: 0,
      paths: bars,
      points: { show: false },
    }));
  };

  // A value without a neighbour makes no line: it is shown as a point.
  const alone = (plot, row) => {
    const values = plot.data[row];
    const places = [];
    values.forEach((value, place) => {
      if (value != null && values[place - 1] == null && values[place + 1] == null) places.push(place);
    });
    return places;
  };

  const placeAt = (data, seconds) =>
    Math.max(0, Math.min(data.moments.length - 1, Math.floor((seconds - data.moments[0]) / data.slot)));

  const show = (entry, place) => {
    entry.place = place;
    // While nobody points at anything, the newest numbers stand there.
    const readout = entry.holder.parentElement.querySelector("[data-chart-readout]");
    const text = told(entry.data, place ?? entry.data.moments.length - 1);
    if (readout && readout.textContent !== text) readout.textContent = text;
  };

  const point = (entry, place) => {
    const { moments, slot } = entry.data;
    entry.plot.setCursor({ left: entry.plot.valToPos(moments[place] + slot / 2, "x"), top: 10 });
    show(entry, place);
  };

  const optionsOf = (entry) => {
    const { data } = entry;
    const isLines = data.form === "lines";
    const first = data.moments[0];
    const font = `12px ${getComputedStyle(document.body).fontFamily}`;
    return {
      width: Math.max(entry.holder.clientWidth, 120),
      height: HEIGHT,
      padding: [10, 6, 0, 0],
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: false, y: false },
        points: { show: isLines, size: 7 },
        dataIdx: (plot, _row, _hovered, seconds) => placeAt(data, seconds),
      },
      scales: {
        x: { time: true, range: () => [first, entry.data.moments.at(-1) + entry.data.slot] },
        y: { range: (_plot, _least, most) => [0, most > 0 ? most * 1.08 : 1] },
      },
      axes: [
        {
          stroke: () => colourOf("axis"),
          font,
          size: 26,
          gap: 4,
          space: 64,
          grid: { show: false },
          ticks: { show: false },
          // What would stand at the very end has no room.
          values: (plot, moments) => moments.map((moment) => (hasRoom(plot, moment) ? axisTime(moment) : "")),
        },
        {
          stroke: () => colourOf("axis"),
          font,
          size: isLines ? 60 : 46,
          gap: 6,
          space: 34,
          grid: { stroke: () => colourOf("grid"), width: 1 },
          ticks: { show: false },
          ...(isLines ? {} : { incrs: COUNT_STEPS }),
          values: (_plot, values) => values.map((value) => (isLines ? spokenDuration(value) : shortNumber.format(value))),
        },
      ],
      series: [{}, ...seriesOf(data)],
      hooks: {
        setCursor: [
          (plot) => {
            const { left } = plot.cursor;
            show(entry, left == null || left < 0 ? null : placeAt(entry.data, plot.posToVal(left, "x")));
          },
        ],
      },
    };
  };

  const shapeOf = (data) => JSON.stringify([data.form, data.slot, data.curves.map((curve) => [curve.label, curve.tone])]);

  const listen = (entry) => {
    const { over } = entry.plot;
    const touched = (event) => {
      if (event.pointerType !== "mouse") {
        const left = event.clientX - over.getBoundingClientRect().left;
        point(entry, placeAt(entry.data, entry.plot.posToVal(left, "x")));
      }
    };
    over.addEventListener("pointerdown", touched);
    over.addEventListener("pointermove", touched);
  };

  const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -12, PageDown: 12 };
  document.addEventListener("keydown", (event) => {
    const holder = event.target.closest?.("[data-chart]");
    const entry = holder && drawn.get(holder.dataset.chartKey);
    if (!entry || event.target !== holder || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = entry.data.moments.length - 1;
    const from = entry.place ?? last + 1;
    const wanted = event.key === "Home" ? 0 : event.key === "End" ? last : event.key in STEPS ? from + STEPS[event.key] : null;
    if (wanted !== null) {
      event.preventDefault();
      // Read aloud what keys point at, and nothing else: numbers that change by themselves would never be silent.
      entry.holder.parentElement.querySelector("[data-chart-readout]").setAttribute("role", "status");
      point(entry, Math.max(0, Math.min(last, wanted)));
    } else if (event.key === "Escape") {
      entry.plot.setCursor({ left: -10, top: -10 });
    }
  });

  const sizes = new ResizeObserver((found) => {
    for (const { target } of found) {
      const entry = drawn.get(target.dataset.chartKey);
      if (entry && entry.holder === target && target.clientWidth > 0 && entry.plot.width !== target.clientWidth) {
        entry.plot.setSize({ width: target.clientWidth, height: HEIGHT });
      }
    }
  });

  const draw = (holder) => {
    const key = holder.dataset.chartKey;
    const text = holder.dataset.chart;
    let entry = drawn.get(key);
    if (entry && entry.holder === holder && entry.text === text && holder.contains(entry.plot.root)) return;
    const data = JSON.parse(text);
    holder.hidden = false;
    holder.parentElement.querySelector("[data-chart-readout]").hidden = false;
    if (entry && shapeOf(entry.data) !== shapeOf(data)) {
      entry.plot.destroy();
      entry = undefined;
    }
    if (!entry) {
      entry = { holder, data, text, place: null };
      drawn.set(key, entry);
      entry.plot = new uPlot(optionsOf(entry), columns(data), holder);
      listen(entry);
    } else {
      // The drawing itself moves over: nothing is painted in between.
      const { place } = entry;
      Object.assign(entry, { holder, data, text });
      holder.append(entry.plot.root);
      entry.plot.setData(columns(data));
      if (place !== null) point(entry, Math.min(place, data.moments.length - 1));
    }
    show(entry, entry.place);
    sizes.observe(holder);
  };

  const drawAll = () => {
    const holders = [...document.querySelectorAll("[data-chart]")];
    holders.forEach(draw);
    const keys = new Set(holders.map((holder) => holder.dataset.chartKey));
    for (const [key, entry] of drawn) {
      if (!keys.has(key)) {
        entry.plot.destroy();
        drawn.delete(key);
      }
    }
    for (const id of opened) {
      const table = document.getElementById(id);
      if (table && !table.open) table.open = true;
    }
  };

  document.addEventListener(
    "toggle",
    (event) => {
      if (event.target.matches?.(".chart-table") && event.target.isConnected) {
        opened[event.target.open ? "add" : "delete"](event.target.id);
      }
    },
    true,
  );
  const redraw = () => {
    for (const { plot } of drawn.values()) plot.redraw(true, true);
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new MutationObserver(redraw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  // Runs before the next painting, whoever changed the page.
  new MutationObserver(drawAll).observe(document.body, {
    childList: true,
    subtree: true,
    attributes: true,
    attributeFilter: ["data-chart"],
  });
  drawAll();
})();
