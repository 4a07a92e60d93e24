import { html } from "htm/preact";
import { useMemo } from "preact/hooks";
import { get, ofTable } from "../lib/api.js";
import * as format from "../lib/format.js";
import { usePolled } from "../lib/poll.js";
import { address, change, route } from "../lib/route.js";
import { Calendar, MEASURES } from "../parts/calendar.js";
import { Chart } from "../parts/chart.js";
import { Failure, Head, TableChoice, Waiting, useTable } from "../parts/parts.js";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const EVERY_MS = 15_000;
const RANGES = { 2: "2 days", 7: "7 days", 31: "31 days", 92: "3 months", 366: "a year", 1826: "5 years" };
const BARS_MAX = 24 * 21; // beyond, a bar is a day
const STATES = { o: "open: events still arrive", c: "complete: it no longer changes", k: "complete and compacted", d: "has a damaged file" };

export function Page() {
  const { table, tables, error, isKnown, about } = useTable((each) => each.kind === "streaming input table");
  if (!isKnown) return error ? html`<${Failure} error=${error} />` : html`<${Waiting} />`;
  if (!table) return html`<p class="empty">No table takes events here, so there are no hours to show.</p>`;
  return html`<${Hours} table=${table} tables=${tables} eventTime=${about?.event_time} key=${table} />`;
}

function Hours({ table, tables, eventTime }) {
  const { params } = route.value;
  const days = Number(params.get("days")) in RANGES ? Number(params.get("days")) : 31;
  const until = Math.floor(Date.now() / HOUR_MS) * HOUR_MS + HOUR_MS;
  const asked = { from: format.partitionOf(until - days * DAY_MS), to: format.partitionOf(until) };
  const { value, error } = usePolled((signal) => get(ofTable(table, "/hours", asked), { signal }), EVERY_MS, [table, asked.from, asked.to]);
  const hours = useMemo(() => value && { ...value, start: value.hour.map(format.hourStart) }, [value]);
  const from = params.get("from") ? Number(params.get("from")) : null;
  const range = from ? [from, Number(params.get("to"))] : null;
  const measure = params.get("show") in MEASURES ? params.get("show") : "received";
  const zoom = (chosen) => change(chosen ? { from: Math.floor(chosen[0]), to: Math.ceil(chosen[1]) } : { from: "", to: "" });
  return html`
    <${Head} title="Hours">
      <${TableChoice} table=${table} tables=${tables} />
      <label>Range <select value=${days} onChange=${(event) => change({ days: event.target.value, from: "", to: "" })}>
        ${Object.entries(RANGES).map(([name, label]) => html`<option value=${name}>${label}</option>`)}</select></label>
      <span class="note">Hours of arrival, UTC.</span>
      <a class="button" href=${ofTable(table, "/hours", { ...asked, format: "csv" })} download>CSV</a>
    </${Head}>
    <${Failure} error=${error} />
    ${hours ? html`<${Shown} table=${table} hours=${hours} until=${until} days=${days} range=${range} zoom=${zoom} measure=${measure} />` : error ? null : html`<${Waiting} />`}
    ${eventTime && hours ? html`<${Lateness} table=${table} asked=${asked} eventTime=${eventTime} range=${range} zoom=${zoom} />` : null}`;
}

function Shown({ table, hours, until, days, range, zoom, measure }) {
  const bars = useMemo(() => barsOf(hours, until, days, range), [hours, days, range?.join()]);
  const [first, last] = range ? [range[0] * 1000, range[1] * 1000] : [until - days * DAY_MS, until];
  const chosen = route.value.params.get("hour");
  const sum = (values) => values.reduce((total, value, at) => (hours.start[at] >= first && hours.start[at] < last ? total + value : total), 0);
  if (!hours.hour.length) return html`<p class="empty">Nothing arrived in ${table} in this range. Choose a longer one.</p>`;
  return html`
    <dl class="facts">
      <div><dt>Received</dt><dd>${format.whole(sum(hours.received))}</dd></div>
      <div><dt>Stored</dt><dd>${format.whole(sum(hours.stored))}</dd></div>
      <div><dt>Rejected</dt><dd class=${sum(hours.rejected) ? "bad" : ""}>${format.whole(sum(hours.rejected))}</dd></div>
      <div><dt>Files</dt><dd>${format.whole(sum(hours.files))}</dd></div>
      <div><dt>On disk</dt><dd>${format.bytes(sum(hours.bytes))}</dd></div>
      <div><dt>Complete until</dt><dd>${hours.complete_until ? format.hourText(hours.complete_until) : format.NONE}</dd></div>
    </dl>
    <section class="panel" aria-label="Over time">
      <h2>Events ${bars.each === HOUR_MS ? "an hour" : "a day"}</h2>
      <${Chart} x=${bars.x} series=${bars.series} range=${range} onZoom=${zoom} tall=${200} label="Received and rejected events of ${table} over time, ${format.count(bars.x.length, "bar")}" />
    </section>
    <section class="panel" aria-label="Calendar of hours">
      <div class="row"><h2 class="grow">Each hour</h2>
        <label>Show <select value=${measure} onChange=${(event) => change({ show: event.target.value === "received" ? "" : event.target.value })}>
          ${Object.entries(MEASURES).map(([name, { label }]) => html`<option value=${name}>${label}</option>`)}</select></label></div>
      <${Calendar} hours=${hours} first=${first} last=${last} measure=${measure} chosen=${chosen} onChoose=${(hour) => change({ hour })} />
      ${chosen ? html`<${Hour} table=${table} hours=${hours} hour=${chosen} />` : html`<p class="note">Choose an hour with the mouse, or with the arrow keys, to see what it has.</p>`}
    </section>`;
}

/** Bars of an hour each, or of a day where those would be too many; gaps are bars of nothing. */
function barsOf({ start, received, rejected }, until, days, range) {
  const [from, to] = range ? [range[0] * 1000, range[1] * 1000] : [until - days * DAY_MS, until];
  const each = (to - from) / HOUR_MS > BARS_MAX ? DAY_MS : HOUR_MS;
  const begin = Math.floor((until - days * DAY_MS) / each) * each;
  const places = Math.ceil((until - begin) / each);
  const [all, bad] = [new Array(places).fill(0), new Array(places).fill(0)];
  start.forEach((at, index) => {
    const place = Math.floor((at - begin) / each);
    if (place < 0 || place >= places) return;
    all[place] += received[index];
    bad[place] += rejected[index];
  });
  const x = Array.from({ length: places }, (_, place) => (begin + place * each) / 1000);
  return { x, each, series: [{ label: "received", values: all, isBars: true, colour: "series-1" }, { label: "rejected", values: bad, isBars: true, colour: "bad" }] };
}

function Hour({ table, hours, hour }) {
  const at = hours.hour.indexOf(hour);
  if (at < 0) return html`<p class="note" role="status">${format.hourText(hour)}: nothing arrived.</p>`;
  const next = format.partitionOf(format.hourStart(hour) + HOUR_MS);
  const sql = `select *\nfrom ${table}\nwhere inserted_at = '${hour}'\nlimit 100`;
  return html`<div class="row" role="status">
      <strong>${format.hourText(hour)}</strong><span class="note">${STATES[hours.state[at]]}</span>
      <span>${format.whole(hours.received[at])} received, ${format.whole(hours.stored[at])} stored, <span class=${hours.rejected[at] ? "bad" : ""}>${format.whole(hours.rejected[at])} rejected</span>;
        ${format.count(hours.rows[at], "row")} in ${format.count(hours.files[at], "file")}, ${format.bytes(hours.bytes[at])}</span>
    </div>
    <div class="row"><a class="button" href=${address("sql", { sql })}>Ask for its rows</a>
      <a class="button" href=${address("table", { table, view: "files", hour })}>Its files</a>
      ${hours.rejected[at] ? html`<a class="button" href=${address("quarantine", { table, from: hour, to: next })}>Its rejected events</a>` : null}</div>`;
}

const QUANTILES = { p50: "half", p99: "99 %", maximum: "the latest" };

function Lateness({ table, asked, eventTime, range, zoom }) {
  const { value, error } = usePolled((signal) => get(ofTable(table, "/lateness", asked), { signal }), 0, [table, asked.from, asked.to]);
  const drawn = useMemo(() => {
    const hours = (value?.hours ?? []).filter((each) => each.events);
    const series = Object.entries(QUANTILES).map(([name, label], at) => ({ label, values: hours.map((each) => each[name]), colour: `series-${at + 1}` }));
    return { x: hours.map((each) => format.hourStart(each.hour) / 1000), series };
  }, [value]);
  if (!value) return error ? html`<${Failure} error=${error} />` : null;
  const { all, unit } = value;
  const inHours = (number) => (number === null || number === undefined ? format.NONE : `${format.whole(number)} ${number === 1 ? unit.replace(/s$/, "") : unit}`);
  return html`<section class="panel" aria-label="Lateness"><h2>Lateness</h2>
    <p class="note">From when an event happened, as <code>${eventTime}</code> says, to when it arrived.</p>
    <dl class="facts">
      <div><dt>Events</dt><dd>${format.whole(all.events)}</dd></div>
      <div><dt>Half at most</dt><dd>${inHours(all.p50)}</dd></div>
      <div><dt>99 % at most</dt><dd>${inHours(all.p99)}</dd></div>
      <div><dt>99.9 % at most</dt><dd>${inHours(all["p99.9"])}</dd></div>
      <div><dt>The latest</dt><dd>${inHours(all.maximum)}</dd></div>
      <div><dt>Without event time</dt><dd>${format.whole(all.without)}</dd></div>
    </dl>
    ${drawn.x.length > 1 ? html`<p class="note">Hours late, of the events of each hour of arrival.</p>
      <${Chart} x=${drawn.x} series=${drawn.series} range=${range} onZoom=${zoom} tall=${150} label="Lateness of ${table} by hour of arrival, ${format.count(drawn.x.length, "hour")}" />` : null}
    <div class="row"><a class="button" href=${ofTable(table, "/lateness", { ...asked, format: "csv" })} download>CSV</a></div></section>`;
}
