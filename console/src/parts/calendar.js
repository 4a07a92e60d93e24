// A calendar of hours: a column for each day, a row for each hour of the day; drawn on a canvas, because a year has 8,760.
import { html } from "htm/preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import * as format from "../lib/format.js";
import { colour, shown } from "../lib/theme.js";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const LEFT = 30;
const TOP = 18;
const STEPS = 5;
/** How opaque a step is drawn. */
const strong = (step) => 0.15 + (0.85 * step) / STEPS;
const STATE_COLOURS = { o: "series-3", c: "series-1", k: "series-4", d: "bad" };

export const MEASURES = {
  received: { label: "arrivals", colour: "series-1", values: (hours) => hours.received },
  rejected: { label: "rejected events", colour: "bad", values: (hours) => hours.rejected },
  state: { label: "open, complete, compacted", values: null },
};

export function Calendar({ hours, first, last, measure, chosen, onChoose }) {
  const box = useRef();
  const canvas = useRef();
  const [width, setWidth] = useState(800);
  const begin = Math.floor(first / DAY_MS) * DAY_MS;
  const days = Math.max(1, Math.ceil((last - begin) / DAY_MS));
  const wide = Math.min((width - LEFT) / days, 72);
  const tall = wide >= 20 ? 13 : 9;
  const places = useMemo(() => new Map(hours.start.map((start, at) => [start, at])), [hours]);
  const { values, colour: name } = MEASURES[measure];
  const ends = useMemo(() => (values ? endsOf(values(hours)) : []), [hours, measure]);
  const step = (value) => (value <= 0 ? 0 : STEPS - ends.length + 1 + ends.findIndex((end) => value <= end));

  useEffect(() => {
    const watching = new ResizeObserver(() => setWidth(box.current.clientWidth));
    watching.observe(box.current);
    return () => watching.disconnect();
  }, []);
  useEffect(() => {
    const { current } = canvas;
    const scale = devicePixelRatio || 1;
    const height = TOP + 24 * tall;
    current.width = width * scale;
    current.height = height * scale;
    current.style.height = `${height}px`;
    const context = current.getContext("2d");
    context.scale(scale, scale);
    context.font = "11px Inter, system-ui, 'Liberation Sans', sans-serif";
    const [text, empty, full] = [colour("quiet"), colour("sunken"), name && colour(name)];
    const states = Object.fromEntries(Object.entries(STATE_COLOURS).map(([letter, each]) => [letter, colour(each)]));
    const gap = wide > 6 ? 1 : wide > 3 ? 0.5 : 0;
    context.fillStyle = text;
    for (let hour = 0; hour < 24; hour += 6) context.fillText(String(hour).padStart(2, "0"), 4, TOP + hour * tall + 9);
    let after = 0;
    for (let day = 0; day < days; day += 1) {
      const date = new Date(begin + day * DAY_MS).toISOString().slice(0, 10);
      const x = LEFT + day * wide;
      if (x >= after && x < width - 40 && (days < 60 || date.endsWith("-01"))) {
        context.globalAlpha = 1;
        context.fillStyle = text;
        const label = days < 60 ? date.slice(5) : date.slice(0, 7);
        context.fillText(label, x, 11);
        after = x + context.measureText(label).width + 10;
      }
      for (let hour = 0; hour < 24; hour += 1) {
        const start = begin + day * DAY_MS + hour * HOUR_MS;
        if (start < first || start >= last) continue;
        const at = places.get(start);
        const strength = at === undefined ? 0 : values ? step(values(hours)[at]) : STEPS;
        context.globalAlpha = strength ? strong(strength) : 1;
        context.fillStyle = strength ? (full ?? states[hours.state[at]]) : empty;
        context.fillRect(x, TOP + hour * tall, Math.max(wide - gap, 0.5), tall - (tall > 9 ? 1 : 0.5));
      }
    }
    context.globalAlpha = 1;
    if (chosen) {
      const place = (format.hourStart(chosen) - begin) / HOUR_MS;
      if (place >= 0 && place < days * 24) {
        const [x, y] = [LEFT + Math.floor(place / 24) * wide, TOP + (place % 24) * tall];
        context.strokeStyle = colour("text");
        context.lineWidth = 2;
        context.strokeRect(x - 1, y - 1, Math.max(wide, 3) + 1, tall + 1);
      }
    }
  }, [hours, first, last, measure, chosen, width, shown.value]);

  const latest = Math.floor((last - 1) / HOUR_MS) * HOUR_MS;
  const earliest = Math.ceil(first / HOUR_MS) * HOUR_MS;
  const now = chosen ? format.hourStart(chosen) : latest;
  const onClick = (event) => {
    const { left, top } = canvas.current.getBoundingClientRect();
    const day = Math.floor((event.clientX - left - LEFT) / wide);
    const hour = Math.floor((event.clientY - top - TOP) / tall);
    const start = begin + day * DAY_MS + hour * HOUR_MS;
    if (day >= 0 && hour >= 0 && hour < 24 && start >= earliest && start <= latest) onChoose(format.partitionOf(start));
  };
  const onKeyDown = (event) => {
    const by = { ArrowUp: -HOUR_MS, ArrowDown: HOUR_MS, ArrowLeft: -DAY_MS, ArrowRight: DAY_MS, PageUp: -7 * DAY_MS, PageDown: 7 * DAY_MS, Home: earliest - now, End: latest - now, Enter: 0 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    onChoose(format.partitionOf(Math.max(earliest, Math.min(latest, now + by))));
  };
  const place = places.get(now);
  const said = `${format.hourText(format.partitionOf(now))} UTC: ${place === undefined ? "nothing arrived" : `${format.whole(hours.received[place])} received, ${format.whole(hours.rejected[place])} rejected`}`;
  return html`<div class="calendar" ref=${box} tabindex="0" role="slider" aria-label="Hour" aria-orientation="horizontal" aria-valuemin="0" aria-valuemax=${(latest - earliest) / HOUR_MS}
      aria-valuenow=${(now - earliest) / HOUR_MS} aria-valuetext=${said} onClick=${onClick} onKeyDown=${onKeyDown}>
    <canvas ref=${canvas} aria-hidden="true"></canvas>
  </div>
  <p class="legend">${values ? html`<span><i style=${{ background: "var(--sunken)" }}></i>none</span>
      ${ends.map((end, at) => html`<span><i style=${{ background: `var(--${name})`, opacity: strong(STEPS - ends.length + 1 + at) }}></i>to ${format.short(end)}</span>`)}`
    : html`<span><i style=${{ background: "var(--series-3)" }}></i>open</span><span><i style=${{ background: "var(--series-1)" }}></i>complete</span>
        <span><i style=${{ background: "var(--series-4)" }}></i>compacted</span><span><i style=${{ background: "var(--bad)" }}></i>damaged</span><span><i style=${{ background: "var(--sunken)" }}></i>nothing arrived</span>`}</p>`;
}

/** The greatest value of each step; each has as many hours as the others, where values differ enough. */
function endsOf(values) {
  const sorted = values.filter((value) => value > 0).sort((a, b) => a - b);
  const ends = Array.from({ length: STEPS }, (_, at) => sorted[Math.ceil(((at + 1) * sorted.length) / STEPS) - 1]);
  return sorted.length ? [...new Set(ends)] : [];
}
