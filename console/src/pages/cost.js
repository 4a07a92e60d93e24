import { html } from "htm/preact";
import { get, path } from "../lib/api.js";
import * as format from "../lib/format.js";
import { usePolled } from "../lib/poll.js";
import { change, route } from "../lib/route.js";
import { Failure, Head, Waiting } from "../parts/parts.js";

const DAYS = { 1: "a day", 7: "7 days", 31: "31 days" };

export function Page() {
  const { params } = route.value;
  const days = Number(params.get("days")) in DAYS ? Number(params.get("days")) : 7;
  const { value, error } = usePolled((signal) => get(path("/v1/cost", { days }), { signal }), 0, [days]);
  return html`
    <${Head} title="Cost">
      <label>What arrived in <select data-search value=${days} onChange=${(event) => change({ days: event.target.value })}>${Object.entries(DAYS).map(([name, label]) => html`<option value=${name}>${label}</option>`)}</select></label>
      <span class="note">What the events that really arrived would cost on AWS. Nothing here costs anything now.</span>
      <a class="button" href=${path("/v1/cost", { days })} target="_blank" rel="noreferrer">JSON</a>
    </${Head}>
    <${Failure} error=${error} />
    ${value ? html`<${Shown} value=${value} />` : error ? null : html`<${Waiting} />`}`;
}

function Shown({ value }) {
  const services = Object.entries(value.usd_per_day_by_service).filter(([, each]) => each > 0);
  const most = Math.max(...services.map(([, each]) => each), 0);
  return html`
    <dl class="facts">
      <div><dt>A day</dt><dd>${format.dollars(value.usd_per_day)}</dd></div>
      <div><dt>A month</dt><dd>${format.dollars(value.usd_per_month)}</dd></div>
      <div><dt>Region</dt><dd>${value.region}</dd></div>
      <div><dt>Prices of</dt><dd>${value.prices_compiled}</dd></div>
    </dl>
    <div class="two">
      <section aria-labelledby="streams"><h2 id="streams">What arrived</h2>
        <${Table} label="What arrived" names=${["Table", "Events a day", "Bytes of one"]} rows=${value.streams.map((each) => [each.table, format.whole(Math.round(each.events_per_day)), format.whole(Math.round(each.event_bytes))])} /></section>
      <section aria-labelledby="services"><h2 id="services">By service, a day</h2>
        <div class="scroll" tabindex="0" role="region" aria-label="By service"><table><tbody>${services.map(([name, each]) => html`<tr><th scope="row">${name}</th><td class="n">${format.dollars(each)}</td>
          <td><progress max=${most} value=${each} aria-label="${name}, beside the dearest"></progress></td></tr>`)}</tbody></table></div></section>
    </div>
    ${value.alternatives.length ? html`<section aria-labelledby="others"><h2 id="others">With another setting, a day</h2>
      <${Table} label="With another setting" names=${["Setting", "A day"]} rows=${value.alternatives.map((each) => [each.setting, format.dollars(each.usd_per_day)])} /></section>` : null}
    <section aria-labelledby="lines"><h2 id="lines">Each line, a day</h2>
      <${Table} label="Each line" names=${["What is counted", "Service", "Quantity", "Unit", "Price", "A day"]} left=${2} rows=${value.lines.filter((each) => each.usd_per_day > 0).map((each) => [each.counted, each.service, each.quantity.toLocaleString("en", { maximumFractionDigits: 4 }), each.unit, `$${each.usd_per_unit}`, format.dollars(each.usd_per_day)])} /></section>
    <p class="note">Prices were compiled from published lists and are not AWS's bill. <code>dw cost</code> says where each comes from, and takes more settings.</p>`;
}

/** Numbers on the right: all but the first `left` columns. */
function Table({ label, names, rows, left = 1 }) {
  const looks = (at) => (at >= left ? "n" : "");
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${label}><table>
    <thead><tr>${names.map((name, at) => html`<th scope="col" class=${looks(at)}>${name}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr>${row.map((cell, at) => (at ? html`<td class=${looks(at)}>${cell}</td>` : html`<th scope="row" style=${{ whiteSpace: "normal" }}>${cell}</th>`))}</tr>`)}</tbody>
  </table></div>`;
}
