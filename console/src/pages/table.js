import { html } from "htm/preact";
import { get, ofTable } from "../lib/api.js";
import * as format from "../lib/format.js";
import { usePolled } from "../lib/poll.js";
import { address, change, route } from "../lib/route.js";
import { Grid, textOf } from "../parts/grid.js";
import { CopyButton, Failure, Head, TableChoice, Waiting, useTable } from "../parts/parts.js";
import { Tail } from "./table-tail.js";
import { snippets } from "./table-snippets.js";

const EVERY_MS = 5000;
const STREAM = "streaming input table";

export function Page() {
  const { table, tables, error, isKnown } = useTable();
  if (!isKnown) return error ? html`<${Failure} error=${error} />` : html`<${Waiting} />`;
  if (!table) return html`<p class="empty">No table is declared that you may see.</p>`;
  return html`<${About} table=${table} tables=${tables} key=${table} />`;
}

function About({ table, tables }) {
  const { value, error } = usePolled((signal) => get(ofTable(table, ""), { signal }), EVERY_MS, [table]);
  const isStream = value?.kind === STREAM;
  const views = { columns: "Columns", rows: "Rows", files: "Files", ...(isStream ? { tail: "Live tail" } : {}), use: "Send and ask" };
  const named = route.value.params.get("view");
  const view = named in views ? named : "columns";
  return html`
    <${Head} title=${table}><${TableChoice} table=${table} tables=${tables} /><span class="note">${value?.kind ?? ""}${value?.event_time ? html`, event time in <code>${value.event_time}</code>` : ""}</span></${Head}>
    <${Failure} error=${error} />
    ${value ? html`
      <${Facts} table=${table} value=${value} isStream=${isStream} />
      <div class="tabs" role="tablist" aria-label="About ${table}">${Object.entries(views).map(([name, label]) => html`<button type="button" role="tab" aria-selected=${String(name === view)} onClick=${() => change({ view: name === "columns" ? "" : name })}>${label}</button>`)}</div>
      ${view === "columns" ? html`<${Columns} table=${table} value=${value} />` : null}
      ${view === "rows" ? html`<${Rows} table=${table} value=${value} />` : null}
      ${view === "files" ? html`<${Files} table=${table} />` : null}
      ${view === "tail" ? html`<${Tail} table=${table} key=${table} />` : null}
      ${view === "use" ? html`<${Use} value=${value} isStream=${isStream} />` : null}` : error ? null : html`<${Waiting} />`}`;
}

function Facts({ table, value, isStream }) {
  const unknown = Object.entries(value.unknown_keys ?? {});
  return html`<dl class="facts">
      ${isStream ? html`<div><dt>Received</dt><dd>${format.whole(value.received)}</dd></div><div><dt>Stored</dt><dd>${format.whole(value.stored)}</dd></div>
        <div><dt>Rejected</dt><dd>${value.rejected ? html`<a class="bad" href=${address("quarantine", { table })}>${format.whole(value.rejected)}</a>` : "0"}</dd></div>` : null}
      <div><dt>Rows</dt><dd>${format.whole(value.rows)}</dd></div>
      <div><dt>Files</dt><dd>${format.whole(value.files)}</dd></div>
      <div><dt>On disk</dt><dd>${format.bytes(value.bytes)}</dd></div>
      ${value.first_hour ? html`<div><dt>Hours</dt><dd><a href=${address("hours", { table })}>${format.hourText(value.first_hour)} to ${format.hourText(value.newest_hour)}</a></dd></div>` : null}
    </dl>
    ${unknown.length ? html`<p class="warn">Events have keys that no column has: ${unknown.map(([key, times]) => `${key} (${format.whole(times)})`).join(", ")}. Declare them as columns to keep them.</p>` : null}`;
}

const useProfile = (table) => usePolled((signal) => get(ofTable(table, "/profile", { rows: 2000 }), { signal }), 0, [table]);

function Columns({ table, value }) {
  const { value: profile, error } = useProfile(table);
  const of = Object.fromEntries((profile?.columns ?? []).map((each) => [each.name, each]));
  const all = [...value.columns, ...value.partition_keys.map((each) => ({ ...each, isKey: true }))];
  return html`
    <p class="note" role="status">${profile ? `NULLs, range and values of ${profile.rows < value.rows ? "the newest " : "all "}${format.count(profile.rows, "row")}${profile.hours?.length ? `, ${format.hourText(profile.hours[0])} to ${format.hourText(profile.hours.at(-1))}` : ""}.` : error ? "" : "Reading a sample…"}</p>
    <${Failure} error=${error} />
    <div class="scroll" tabindex="0" role="region" aria-label="Columns"><table>
      <thead><tr><th scope="col">Column</th><th scope="col">Type</th><th scope="col" class="n">NULL</th><th scope="col" class="n">Distinct</th><th scope="col">Least</th><th scope="col">Greatest</th><th scope="col">Most frequent</th></tr></thead>
      <tbody>${all.map((column) => html`<${Column} key=${column.name} column=${column} profile=${of[column.name]} rows=${profile?.rows} />`)}</tbody>
    </table></div>`;
}

function Column({ column, profile, rows }) {
  const short = (value) => (value === null || value === undefined ? html`<span class="zero">${format.NONE}</span>` : html`<code title=${textOf(value)}>${clip(textOf(value), 28)}</code>`);
  let letters = 0;
  const top = (profile?.top ?? []).slice(0, 3).filter((each, at) => (letters += Math.min(textOf(each.value).length, 24)) <= 34 || !at);
  return html`<tr><th scope="row">${column.name}${column.isKey ? html` <span class="tag">partition</span>` : ""}</th><td class="mono" title=${column.type}>${clip(column.type, 40)}</td>
    <td class="n ${profile?.nulls ? "" : "zero"}">${profile ? (rows ? format.share(profile.nulls, rows) : format.NONE) : ""}</td><td class="n">${profile ? format.whole(profile.distinct) : ""}</td>
    <td>${profile ? short(profile.least) : ""}</td><td>${profile ? short(profile.greatest) : ""}</td>
    <td>${top[0]?.count === 1 && rows > 1 ? html`<span class="note">each once</span>` : top.map((each, at) => html`${at ? ", " : ""}<code title=${textOf(each.value)}>${clip(textOf(each.value), 24)}</code> <span class="note">${format.share(each.count, rows)}</span>`)}</td></tr>`;
}
const clip = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

function Rows({ table, value }) {
  const { value: profile, error } = useProfile(table);
  if (!profile) return error ? html`<${Failure} error=${error} />` : html`<${Waiting} />`;
  if (!profile.sample.length) return html`<p class="empty">There are no rows yet.</p>`;
  const known = [...value.columns, ...value.partition_keys];
  const columns = known.map((each) => each.name);
  const rows = profile.sample.map((row) => columns.map((name) => row[name] ?? null));
  const blocks = { columns, types: known.map((each) => each.type), total: rows.length, row: (at) => rows[at], want: () => {} };
  return html`<p class="note">${format.count(rows.length, "row")} of the newest hours. <a href=${address("sql", { sql: `select *\nfrom ${table}${profile.hours?.length && value.partition_keys.length ? `\nwhere inserted_at = '${profile.hours.at(-1)}'` : ""}\nlimit 1000` })}>Ask for more in SQL</a></p>
    <${Grid} blocks=${blocks} version=${0} label="Newest rows of ${table}" />`;
}

function Files({ table }) {
  const hour = route.value.params.get("hour") ?? "";
  const { value, error } = usePolled((signal) => get(ofTable(table, "/files", { hour, limit: 200 }), { signal }), EVERY_MS, [table, hour]);
  return html`
    <div class="row"><span class="note">${hour ? `Files of ${format.hourText(hour)}` : "The newest files"}${value?.more ? `; ${format.whole(value.more)} more are not shown` : ""}.</span>
      ${hour ? html`<button type="button" onClick=${() => change({ hour: "" })}>Show the newest of all hours</button>` : null}</div>
    <${Failure} error=${error} />
    ${!value ? (error ? null : html`<${Waiting} />`) : !value.files.length ? html`<p class="empty">There are no files${hour ? " of this hour" : " yet"}.</p>` : html`
    <div class="scroll" tabindex="0" role="region" aria-label="Files"><table>
      <thead><tr><th scope="col">File</th><th scope="col">Has</th><th scope="col" class="n">Rows</th><th scope="col" class="n">Size</th><th scope="col">Made</th><th scope="col">State</th></tr></thead>
      <tbody>${value.files.map((each) => html`<tr key=${each.path}><td class="mono">${each.path}</td><td>${each.kind}</td><td class="n">${format.whole(each.rows)}</td><td class="n">${format.bytes(each.bytes)}</td>
        <td>${format.instant(each.created_at)}</td><td>${each.damage ? html`<span class="tag bad">damaged: ${each.damage}</span>` : each.compacted ? html`<span class="tag good">compacted</span>` : html`<span class="zero">as it arrived</span>`}</td></tr>`)}</tbody>
    </table></div>`}`;
}

function Use({ value, isStream }) {
  return html`<div class="two">${snippets(value, isStream, location.origin).map(({ title, text }) => html`<section aria-label=${title}>
    <div class="row"><h2 class="grow">${title}</h2><${CopyButton} text=${text} label="Copy" /></div><pre class="fold" tabindex="0">${text}</pre></section>`)}</div>
    <p class="note">Where keys are needed, send one as <code>Authorization: Bearer ID.SECRET</code>, or as AWS credentials.</p>`;
}
