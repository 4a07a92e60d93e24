// A chart of columns over time, over numbers or over names. Dragging over it zooms; so do the buttons below it.
import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { NONE } from "../lib/format.js";
import { colour, shown } from "../lib/theme.js";

const TALL = 260;
const FONT = "11px system-ui, Inter, 'Liberation Sans', sans-serif";

/**
 * x: numbers, ascending; with `kind` "time" in seconds, with "names" the places in `names`.
 * series: [{label, values, colour, isBars, own, place, of}]: own are what the legend says where values are sums of several;
 * bars at one place stand beside each other, this one as number `place` of `of`. range: [from, to] of x, or null; onZoom(range or null).
 */
export function Chart({ x, series, kind = "time", names = [], range, onZoom, label, tall = TALL }) {
  const box = useRef();
  const zoom = useRef(onZoom);
  zoom.current = onZoom;
  useEffect(() => {
    const plot = new uPlot(options({ x, series, kind, names, range, zoom, tall, width: box.current.clientWidth }), [x, ...series.map((each) => each.values)], box.current);
    plot.root.setAttribute("aria-hidden", "true");
    const watching = new ResizeObserver(() => box.current && plot.setSize({ width: box.current.clientWidth, height: tall }));
    watching.observe(box.current);
    return () => {
      watching.disconnect();
      plot.destroy();
    };
  }, [x, series, kind, names, range?.join(), tall, shown.value]);
  return html`<figure class="chart">
    <div ref=${box} role="img" aria-label=${label}></div>
    ${onZoom && x.length > 1 ? html`<${Zoom} x=${x} kind=${kind} range=${range} onZoom=${onZoom} />` : null}
  </figure>`;
}

/** What dragging does, for the keyboard. */
function Zoom({ x, kind, range, onZoom }) {
  const all = [x[0], x.at(-1)];
  const [from, to] = range ?? all;
  const wide = to - from;
  const least = kind === "time" ? 60 : kind === "names" ? 1 : (all[1] - all[0]) / 1e6;
  const set = (begin, end) => {
    const kept = [Math.max(all[0], begin), Math.min(all[1], end)];
    onZoom(kept[0] <= all[0] && kept[1] >= all[1] ? null : kept);
  };
  const shift = (by) => set(...(by < 0 ? [Math.max(all[0], from + by), Math.max(all[0], from + by) + wide] : [Math.min(all[1], to + by) - wide, Math.min(all[1], to + by)]));
  return html`<div class="row" role="group" aria-label="Zoom">
    <button type="button" disabled=${wide <= least} onClick=${() => set(from + wide / 4, to - wide / 4)}>Zoom in</button>
    <button type="button" disabled=${!range} onClick=${() => set(from - wide / 2, to + wide / 2)}>Zoom out</button>
    <button type="button" disabled=${!range} onClick=${() => shift(-wide / 2)} aria-label="Earlier">←</button>
    <button type="button" disabled=${!range} onClick=${() => shift(wide / 2)} aria-label="Later">→</button>
    <button type="button" disabled=${!range} onClick=${() => onZoom(null)}>Show all</button>
    <span class="note">Drag over the chart to zoom.</span>
  </div>`;
}

function options({ x, series, kind, names, range, zoom, tall, width }) {
  const [text, line] = [colour("quiet"), colour("line")];
  const axis = { stroke: text, font: FONT, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1, size: 4 } };
  const nameOf = (at) => (Number.isInteger(at) ? (names[at] ?? "") : "");
  const hasBars = series.some((each) => each.isBars);
  return {
    width,
    height: tall,
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    cursor: { drag: { x: Boolean(zoom.current), y: false, setScale: false }, points: hasBars ? { show: false } : { size: 6 } },
    scales: {
      x: { time: kind === "time", range: range ? () => range : hasBars ? (_, least, most) => padded(x, least, most) : undefined },
      y: { range: (_, least, most) => [Math.min(0, least ?? 0), Math.max(most ?? 0, 1e-9) * 1.05] },
    },
    axes: [
      kind === "names" ? { ...axis, values: (_, splits) => splits.map(nameOf), incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] } : kind === "time" ? { ...axis, values: times, space: 64 } : axis,
      { ...axis, size: 56, values: (_, splits) => splits.map((each) => short(each)) },
    ],
    series: [
      kind === "names" ? { label: "", value: (_, at) => nameOf(at) } : kind === "time" ? { label: "UTC", value: (_, at) => (at === null ? NONE : new Date(at * 1000).toISOString().slice(0, 16).replace("T", " ")) } : { label: "" },
      ...series.map((each, at) => {
        const stroke = colour(each.colour ?? `series-${(at % 8) + 1}`);
        const bars = each.isBars ? { paths: barsOf(x, each), fill: stroke, width: 0, points: { show: false } } : { width: 1.5, points: { show: x.length < 60, size: 5 } };
        const said = (value) => (value === null || value === undefined ? NONE : value.toLocaleString("en"));
        return { label: each.label, stroke, value: (_, value, __, index) => said(each.own && index !== null ? each.own[index] : value), ...bars };
      }),
    ],
    hooks: {
      setSelect: [
        (plot) => {
          if (plot.select.width < 4) return;
          const chosen = [plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x")];
          plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
          zoom.current?.(chosen);
        },
      ],
    },
  };
}

/** Days as 11-30 and the first of a year as 2026-01-01; within days 08:00, and the day where it begins. */
function times(_, splits, __, ___, step) {
  return splits.map((at, place) => {
    const text = new Date(at * 1000).toISOString();
    if (step >= 86400) return text.slice(5, 10) === "01-01" || place === 0 ? text.slice(0, 10) : text.slice(5, 10);
    const time = step < 60 ? text.slice(11, 19) : text.slice(11, 16);
    return place === 0 || time.startsWith("00:00") ? `${time}\n${text.slice(5, 10)}` : time;
  });
}

const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });
const short = (value) => SHORT.format(value);

/** The least distance of two places. */
const stepOf = (x) => (x.length > 1 ? Math.min(...x.slice(1, 200).map((each, at) => each - x[at])) : 1);

/** Half a bar more on both sides. */
const padded = (x, least, most) => [least - stepOf(x) / 2, most + stepOf(x) / 2];

function barsOf(x, { place = 0, of = 1 }) {
  if (of === 1) return uPlot.paths.bars({ size: [0.85, 40] });
  const wide = (stepOf(x) * 0.85) / of;
  const begin = stepOf(x) * -0.425 + place * wide;
  return uPlot.paths.bars({ disp: { x0: { unit: 1, values: () => x.map((at) => at + begin) }, size: { unit: 1, values: () => [wide] } } });
}
