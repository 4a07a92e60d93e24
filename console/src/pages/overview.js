import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { call, get } from "../lib/api.js";
import * as format from "../lib/format.js";
import { usePolled } from "../lib/poll.js";
import { address } from "../lib/route.js";
import { Failure, Head, Spark, Waiting } from "../parts/parts.js";

const EVERY_MS = 1000;
const WORDS = { bad: "Act now", warn: "Look at this", note: "Note" };
const LOOKS = { bad: "critical", warn: "warning", note: "" };

export function Overview() {
  const { value, error } = usePolled((signal) => get("/v1/overview", { signal }), EVERY_MS);
  if (!value) return error ? html`<${Failure} error=${error} />` : html`<${Waiting} />`;
  return html`
    <${Head} title="Overview">
      <span class="note">Rates are of the last seconds; all times are UTC (now ${format.clockTime(value.now)}).</span>
    </${Head}>
    ${error ? html`<${Failure} error=${error} />` : null}
    <${Attention} items=${value.attention} />
    <${Tables} tables=${value.tables} />
    <${Queries} queries=${value.queries} now=${value.now} />
    <${Facts} value=${value} />`;
}

function Attention({ items }) {
  if (!items.length) return html`<p class="calm" role="status">✓ Nothing needs attention.</p>`;
  return html`<section aria-labelledby="attention">
    <h2 id="attention">What needs attention</h2>
    <ul class="attention">${items.map(
      (each) => html`<li key=${each.id} class=${LOOKS[each.severity]}>
        <span class="tag ${each.severity}">${WORDS[each.severity] ?? each.severity}</span>
        <div><div>${each.text}</div>${each.next_step ? html`<div class="next">Next: ${each.next_step}</div>` : null}
          ${each.page && each.page !== "overview" ? html`<a href=${address(each.page, { table: each.page === "jobs" ? "" : each.table })}>Open ${pageName(each.page)}</a>` : null}</div>
      </li>`,
    )}</ul>
  </section>`;
}

const pageName = (page) => page[0].toUpperCase() + page.slice(1);

function Tables({ tables }) {
  if (!tables.length) return html`<p class="empty">No table is declared that you may see.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Tables">
    <table>
      <thead><tr><th scope="col">Table</th><th scope="col" class="n">Events/s</th><th scope="col" class="roomy">Last minute</th><th scope="col" class="n">Received</th>
        <th scope="col" class="n">Stored</th><th scope="col" class="n">Rejected</th><th scope="col" class="n">Lag</th><th scope="col">Newest hour</th>
        <th scope="col" class="n">Files</th><th scope="col" class="n">Disk</th></tr></thead>
      <tbody>${tables.map((each) => html`<${Line} key=${each.table} table=${each} />`)}</tbody>
    </table>
  </div>`;
}

function Line({ table }) {
  const { table: name, recent } = table;
  const isStream = table.received !== null;
  return html`<tr data-table=${name}>
    <th scope="row"><a href=${address("table", { table: name })}>${name}</a></th>
    <td class="n">${format.rate(table.events_per_s)}</td>
    <td class="roomy">${recent ? html`<${Spark} values=${recent} label="${name}: ${format.rate(Math.max(...recent, 0))} events a second at most in the last minute" />` : html`<span class="zero">${table.kind}</span>`}</td>
    <td class="n">${format.whole(table.received)}</td>
    <td class="n">${format.whole(isStream ? table.stored : table.rows)}</td>
    <td class="n">${table.rejected ? html`<a class="bad" href=${address("quarantine", { table: name })}>${format.whole(table.rejected)} (${format.share(table.rejected, table.received)})</a>` : html`<span class="zero">${format.whole(table.rejected)}</span>`}</td>
    <td class="n ${table.lag_s > 60 ? "warn" : ""}">${isStream ? format.seconds(table.lag_s) : format.NONE}</td>
    <td>${table.newest_hour ? html`<a href=${address("hours", { table: name })}>${format.hourText(table.newest_hour)}</a>` : format.NONE}</td>
    <td class="n">${format.whole(table.files)}</td>
    <td class="n">${format.bytes(table.bytes)}</td>
  </tr>`;
}

/** What is asked right now, and by whom; nothing where nobody asks. */
function Queries({ queries, now }) {
  const [error, setError] = useState(null);
  const end = (id) => call("DELETE", `/v1/queries/${id}`).then(() => setError(null), setError);
  if (!queries.length) return null;
  return html`<section aria-labelledby="queries"><h2 id="queries">Queries that run now</h2>
    <${Failure} error=${error} />
    <div class="scroll" tabindex="0" role="region" aria-label="Queries that run now"><table>
      <thead><tr><th scope="col">Who</th><th scope="col">Workgroup</th><th scope="col">Since</th><th scope="col" class="n">Reads</th><th scope="col">Done</th><th scope="col">Statement</th><th scope="col"><span class="hidden">End</span></th></tr></thead>
      <tbody>${queries.map((each) => html`<tr key=${each.id}><th scope="row">${each.who}</th><td>${each.workgroup}</td>
        <td>${each.started_at ? format.seconds((Date.parse(now) - Date.parse(each.started_at)) / 1000) : "waits"}</td><td class="n">${format.bytes(each.progress.bytes)}</td>
        <td>${each.progress.share === null ? format.NONE : html`<progress class="short" max="1" value=${each.progress.share} aria-label="Share of the query that is done"></progress>`}</td>
        <td class="wide"><code class="two-lines" title=${each.sql}>${each.sql}</code></td>
        <td><button type="button" onClick=${() => end(each.id)}>End</button></td></tr>`)}</tbody>
    </table></div></section>`;
}

function Facts({ value }) {
  const { backup } = value;
  return html`<dl class="facts">
    <div><dt>Queries now</dt><dd>${format.whole(value.queries.length)}</dd></div>
    <div><dt>Disk free</dt><dd>${format.bytes(value.disk_free_bytes)}</dd></div>
    <div><dt>Last back-up</dt><dd>${backup?.at ? format.seconds(backup.age_s) + " ago" : "never"}</dd></div>
    <div><dt>Running since</dt><dd>${format.instant(value.since)}</dd></div>
  </dl>`;
}
