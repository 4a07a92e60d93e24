import { html } from "htm/preact";
import { useMemo } from "preact/hooks";
import { get, ofTable } from "../lib/api.js";
import * as format from "../lib/format.js";
import { usePolled } from "../lib/poll.js";
import { address, change, route } from "../lib/route.js";
import { Chart } from "../parts/chart.js";
import { Raw } from "../parts/event.js";
import { Failure, Head, TableChoice, Waiting, useTable } from "../parts/parts.js";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const EVERY_MS = 10_000;
const RANGES = { 1: "a day", 7: "7 days", 31: "31 days", 366: "a year" };

export function Page() {
  const { table, tables, error, isKnown } = useTable((each) => each.kind === "streaming input table");
  if (!isKnown) return error ? html`<${Failure} error=${error} />` : html`<${Waiting} />`;
  if (!table) return html`<p class="empty">No table takes events here, so nothing can be rejected.</p>`;
  return html`<${Quarantine} table=${table} tables=${tables} key=${table} />`;
}

function Quarantine({ table, tables }) {
  const { params } = route.value;
  const days = Number(params.get("days")) in RANGES ? Number(params.get("days")) : 7;
  const until = Math.floor(Date.now() / HOUR_MS) * HOUR_MS + HOUR_MS;
  const isFixed = params.get("from") && params.get("to");
  const asked = isFixed ? { from: params.get("from"), to: params.get("to") } : { from: format.partitionOf(until - days * DAY_MS), to: format.partitionOf(until) };
  const { value, error } = usePolled((signal) => get(ofTable(table, "/quarantine", asked), { signal }), EVERY_MS, [table, asked.from, asked.to]);
  return html`
    <${Head} title="Quarantine">
      <${TableChoice} table=${table} tables=${tables} />
      ${isFixed ? html`<span>${format.hourText(asked.from)} to ${format.hourText(asked.to)} <button type="button" onClick=${() => change({ from: "", to: "" })}>Show ${RANGES[days]}</button></span>`
        : html`<label>Range <select value=${days} onChange=${(event) => change({ days: event.target.value })}>${Object.entries(RANGES).map(([name, label]) => html`<option value=${name}>${label}</option>`)}</select></label>`}
      <span class="note">Events that could not be stored, with the reason.</span>
      <a class="button" href=${ofTable(table, "/quarantine", { ...asked, format: "csv" })} download>CSV</a>
    </${Head}>
    <${Failure} error=${error} />
    ${value ? html`<${Shown} table=${table} value=${value} asked=${asked} />` : error ? null : html`<${Waiting} />`}`;
}

const nameOf = (cause) => `${cause.error_code}|${cause.column_name ?? ""}`;

function Shown({ table, value, asked }) {
  const { causes, rejected, trend } = value;
  const named = route.value.params.get("cause");
  const chosen = causes.find((each) => nameOf(each) === named) ?? causes[0];
  if (!rejected) return html`<p class="calm" role="status">✓ No event of ${table} was rejected from ${format.hourText(value.from)} to ${format.hourText(value.to)}.</p>`;
  const total = trend.received.reduce((sum, each) => sum + each, 0);
  return html`
    <p role="status"><strong class="bad">${format.count(rejected, "event")} rejected</strong> of ${format.whole(total)} (${format.share(rejected, total)}), for ${format.count(causes.length, "cause")}.
      They are kept, and can be asked for: <a href=${address("sql", { sql: `select *\nfrom ${table}_quarantine\nwhere inserted_at >= '${value.from}'\nlimit 100` })}>${table}_quarantine</a></p>
    <${Trend} trend=${trend} value=${value} table=${table} />
    <section aria-labelledby="causes"><h2 id="causes">Causes</h2>
      <div class="scroll" tabindex="0" role="region" aria-label="Causes"><table>
        <thead><tr><th scope="col">Column</th><th scope="col" class="n">Events</th><th scope="col" class="n">Share</th><th scope="col">Expected</th><th scope="col">Kind of error</th><th scope="col">First</th><th scope="col">Latest</th><th scope="col"><span class="hidden">Samples</span></th></tr></thead>
        <tbody>${causes.map((each) => html`<tr key=${nameOf(each)}>
          <th scope="row">${each.column_name || html`<span class="note">whole event</span>`}</th>
          <td class="n">${format.whole(each.records)}</td><td class="n">${format.share(each.records, rejected)}</td><td class="wide">${each.expected || format.NONE}</td><td>${each.error_code}</td><td>${format.instant(each.first)}</td><td>${format.instant(each.latest)}</td>
          <td><button type="button" aria-pressed=${String(each === chosen)} onClick=${() => change({ cause: nameOf(each) })}>Samples</button></td></tr>`)}</tbody>
      </table></div>
    </section>
    ${chosen ? html`<${Samples} table=${table} cause=${chosen} asked=${asked} key=${nameOf(chosen)} />` : null}`;
}

function Trend({ trend, value, table }) {
  const bars = useMemo(() => {
    const [from, to] = [format.hourStart(value.from), format.hourStart(value.to)];
    const each = (to - from) / HOUR_MS > 24 * 8 ? DAY_MS : HOUR_MS;
    const places = Math.max(1, Math.ceil((to - from) / each));
    const counts = new Array(places).fill(0);
    trend.hour.forEach((hour, at) => {
      const place = Math.floor((format.hourStart(hour) - from) / each);
      if (place >= 0 && place < places) counts[place] += trend.rejected[at];
    });
    return { each, x: counts.map((_, place) => (from + place * each) / 1000), series: [{ label: "rejected", values: counts, isBars: true, colour: "bad" }] };
  }, [trend]);
  return html`<section class="panel" aria-label="Trend"><h2>Rejected events ${bars.each === HOUR_MS ? "an hour" : "a day"}</h2>
    <${Chart} x=${bars.x} series=${bars.series} tall=${140} label="Rejected events of ${table} over time" /></section>`;
}

function Samples({ table, cause, asked }) {
  const { error_code: code, column_name: column } = cause;
  const { value, error } = usePolled((signal) => get(ofTable(table, "/quarantine/samples", { ...asked, error_code: code, column_name: column, limit: 10 }), { signal }), 0, [table, code, column, asked.from, asked.to]);
  return html`<section aria-labelledby="samples"><h2 id="samples">Samples${column ? html` of ${column}` : ""}</h2>
    ${cause.expected ? html`<p class="note">Expected: ${cause.expected}.</p>` : null}
    <${Failure} error=${error} />
    ${value ? html`<div class="scroll" tabindex="0" role="region" aria-label="Samples"><table>
      <thead><tr><th scope="col">Arrived</th><th scope="col">Received</th><th scope="col">As it came</th></tr></thead>
      <tbody>${value.samples.map((each) => html`<tr><td>${format.instant(each.arrived_at)}</td>
        <td class="wide">${each.received ? html`<strong>${each.received}</strong>${each.expected === cause.expected ? "" : html`, expected ${each.expected}`}` : each.error_message}</td><td class="wide"><${Raw} event=${each} /></td></tr>`)}</tbody>
    </table></div>` : error ? null : html`<${Waiting} />`}
  </section>`;
}
