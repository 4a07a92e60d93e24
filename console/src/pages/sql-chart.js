// A chart of any result. What is drawn is in the address: x, y, by, look, from, to.
import { html } from "htm/preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import * as format from "../lib/format.js";
import { change, route } from "../lib/route.js";
import { Chart } from "../parts/chart.js";
import { isNumeric, textOf } from "../parts/grid.js";
import { Failure } from "../parts/parts.js";

const ROWS_MAX = 20_000;
const GROUPS_MAX = 8;
const NAMES_MAX = 200;
const LOOKS = { line: "lines", bars: "bars", stacked: "bars, stacked" };

export function ResultChart({ run, isOver }) {
  const [state, setState] = useState({});
  const { columns, types, total } = run.blocks;
  useEffect(() => {
    if (!isOver) return undefined;
    const leaving = new AbortController();
    run.blocks.first(ROWS_MAX, leaving.signal).then((rows) => setState({ rows }), (error) => leaving.signal.aborted || setState({ error }));
    return () => leaving.abort();
  }, [run, isOver]);
  const { params } = route.value;
  const { rows, error } = state;
  const chosen = useMemo(() => (rows?.length ? choice(columns, types, rows, params) : null), [rows, params.get("x"), params.get("y"), params.get("by"), params.get("look")]);
  const drawn = useMemo(() => chosen && drawing(columns, types, rows, chosen), [chosen, rows]);
  if (error) return html`<${Failure} error=${error} />`;
  if (!rows) return html`<p class="note" role="status">${isOver ? "Reading the rows…" : "The chart is drawn when the statement has ended."}</p>`;
  if (!rows.length) return html`<p class="empty">There are no rows to draw.</p>`;
  const range = params.get("from") && params.get("to") ? [Number(params.get("from")), Number(params.get("to"))] : null;
  const set = (name) => (event) => change({ [name]: event.target.value, from: "", to: "" });
  const listed = (values) => values.map((name) => html`<option value=${name}>${name}</option>`);
  return html`<div class="panel">
    <div class="row">
      <label>Look <select value=${chosen.look} onChange=${set("look")}>${Object.entries(LOOKS).map(([name, label]) => html`<option value=${name}>${label}</option>`)}</select></label>
      <label>Across <select value=${chosen.x} onChange=${set("x")}>${listed(columns)}</select></label>
      <label>Up <select value=${chosen.y} onChange=${set("y")}>${listed(numericColumns(columns, types, rows))}</select></label>
      <label>A colour for each <select value=${chosen.by} onChange=${set("by")}><option value="">nothing</option>${listed(columns.filter((name) => name !== chosen.x && name !== chosen.y))}</select></label>
    </div>
    ${drawn.problem ? html`<p class="empty">${drawn.problem}</p>` : html`<${Chart} x=${drawn.x} series=${drawn.series} kind=${drawn.kind} names=${drawn.names} range=${range}
        label="${chosen.y} by ${chosen.x}, ${format.count(drawn.x.length, "point")}" onZoom=${(to) => change({ from: to ? trimmed(to[0]) : "", to: to ? trimmed(to[1]) : "" })} />`}
    <p class="note">${[
      total > rows.length ? `The first ${format.whole(rows.length)} of ${format.whole(total)} rows are drawn; aggregate in SQL to see all.` : "",
      drawn.isBelow ? "Bars below zero cannot be stacked, so they stand side by side." : "",
      drawn.isSummed ? `Rows with the same ${chosen.x} are added up.` : "",
      drawn.left ? `${format.count(drawn.left, "more group")} ${drawn.left === 1 ? "is" : "are"} not drawn.` : "",
    ].filter(Boolean).join(" ")}</p>
  </div>`;
}

const trimmed = (value) => Number(value.toPrecision(12));
const isNumber = (value) => typeof value === "number" || value instanceof String;
const HOUR = /^\d{4}\/\d{2}\/\d{2}(\/\d{2})?$/;
const DAY = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z| UTC)?)?$/;

/** Seconds of a value that is an instant; NaN otherwise. */
function secondsOf(value) {
  if (typeof value !== "string") return NaN;
  if (HOUR.test(value)) return Date.parse(`${value.slice(0, 10).replaceAll("/", "-")}T${value.slice(11, 13) || "00"}:00:00Z`) / 1000;
  if (!DAY.test(value)) return NaN;
  const text = value.replace(" UTC", "").replace(" ", "T").replace("Z", "");
  return Date.parse(text.length === 10 ? `${text}T00:00:00Z` : `${text}Z`) / 1000;
}

function columnValues(columns, rows, name) {
  const at = columns.indexOf(name);
  return rows.slice(0, 50).map((row) => row[at]).filter((value) => value !== null);
}
const isTime = (columns, rows, name) => {
  const values = columnValues(columns, rows, name);
  return values.length > 0 && values.every((value) => !Number.isNaN(secondsOf(value)));
};
function numericColumns(columns, types, rows) {
  return columns.filter((name, at) => (types ? isNumeric(types[at]) : columnValues(columns, rows, name).some(isNumber)));
}

/** What the address says, completed: a time across if there is one, the first number up. */
function choice(columns, types, rows, params) {
  const valid = (name) => (columns.includes(params.get(name)) ? params.get(name) : undefined);
  const numbers = numericColumns(columns, types, rows);
  const x = valid("x") ?? columns.find((name) => isTime(columns, rows, name)) ?? columns.find((name) => !numbers.includes(name)) ?? columns[0];
  const y = valid("y") ?? numbers.find((name) => name !== x) ?? "";
  const rest = columns.filter((name) => name !== x && !numbers.includes(name));
  const by = params.has("by") ? (valid("by") ?? "") : isTime(columns, rows, x) && rest.length === 1 ? rest[0] : "";
  const isText = !isTime(columns, rows, x) && !numbers.includes(x);
  return { x, y, by, look: params.get("look") in LOOKS ? params.get("look") : isText ? "bars" : "line" };
}

function drawing(columns, types, rows, { x, y, by, look }) {
  if (!y) return { problem: "No column of this result has numbers, so there is nothing to draw." };
  const [atX, atY, atBy] = [x, y, by].map((name) => columns.indexOf(name));
  const kind = isTime(columns, rows, x) ? "time" : numericColumns(columns, types, rows).includes(x) ? "numbers" : "names";
  const names = [];
  const places = new Map();
  const placeOf = (value) => {
    if (kind === "time") return secondsOf(value);
    if (kind === "numbers") return value === null ? NaN : Number(value);
    const text = textOf(value);
    if (!places.has(text)) {
      if (names.length >= NAMES_MAX) return NaN;
      places.set(text, names.push(text) - 1);
    }
    return places.get(text);
  };
  const groups = new Map();
  const all = new Set();
  let isSummed = false;
  for (const row of rows) {
    const place = placeOf(row[atX]);
    const value = row[atY] === null ? null : Number(row[atY]);
    if (!Number.isFinite(place) || (value !== null && !Number.isFinite(value))) continue;
    const group = by ? textOf(row[atBy]) : y;
    if (!groups.has(group)) groups.set(group, new Map());
    const points = groups.get(group);
    isSummed ||= points.has(place);
    points.set(place, points.has(place) ? points.get(place) + (value ?? 0) : value);
    all.add(place);
  }
  if (!all.size) return { problem: `No value of ${x} and ${y} can be drawn.` };
  const sorted = [...all].sort((a, b) => a - b);
  const total = (points) => [...points.values()].reduce((sum, value) => sum + Math.abs(value ?? 0), 0);
  const ordered = [...groups].sort((a, b) => total(b[1]) - total(a[1]));
  const series = ordered.slice(0, GROUPS_MAX).map(([label, points], at) => ({ label, isBars: look !== "line", colour: `series-${at + 1}`, values: sorted.map((place) => points.get(place) ?? null) }));
  const isStacked = look === "stacked";
  const isBelow = isStacked && series.some(({ values }) => values.some((value) => value < 0));
  return {
    x: sorted, series: isStacked && !isBelow ? stacked(series) : besides(series), kind, names, isSummed,
    isBelow, left: Math.max(0, ordered.length - GROUPS_MAX),
  };
}

/** Bars on top of each other: each is drawn from zero to its upper end, the highest first; the first group is the lowest. */
function stacked(series) {
  const below = series[0].values.map(() => 0);
  const piled = series.map((each) => ({ ...each, own: each.values, values: each.values.map((value, at) => (value === null ? null : (below[at] += value))) }));
  return piled.toReversed();
}

/** Bars beside each other: which of how many each is. */
const besides = (series) => series.map((each, place) => ({ ...each, place, of: series.length }));
