// What stands beside the editor: tables, statements that were asked, statements that were saved.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { call, get } from "../lib/api.js";
import * as format from "../lib/format.js";
import { usePolled } from "../lib/poll.js";
import { change, route } from "../lib/route.js";
import { Failure } from "../parts/parts.js";

const SHELVES = { tables: "Tables", history: "History", saved: "Saved" };

export function Shelf({ known, ran, onPut, onInsert }) {
  const shelf = route.value.params.get("shelf") || "tables";
  return html`<aside aria-label="Tables and statements">
    <div class="tabs" role="tablist" aria-label="Beside the editor">${Object.entries(SHELVES).map(
      ([name, label]) => html`<button type="button" role="tab" aria-selected=${String(shelf === name)} onClick=${() => change({ shelf: name === "tables" ? "" : name })}>${label}</button>`,
    )}</div>
    ${shelf === "tables" ? html`<${Tables} known=${known} onPut=${onPut} onInsert=${onInsert} />`
      : shelf === "history" ? html`<${History} ran=${ran} onPut=${onPut} />` : html`<${Saved} ran=${ran} onPut=${onPut} />`}
  </aside>`;
}

/** A statement that reads a little of a table: its newest hour, where it has hours. */
export function firstStatement({ name, columns, newest_hour: hour }) {
  const hasHours = hour && columns.some((each) => each.name === "inserted_at");
  return `select *\nfrom ${/^[a-z_][\w]*$/.test(name) ? name : `"${name}"`}${hasHours ? `\nwhere inserted_at = '${hour}'` : ""}\nlimit 100`;
}

function Tables({ known, onPut, onInsert }) {
  const [open, setOpen] = useState("");
  if (!known) return html`<p class="note">…</p>`;
  return html`<ul class="list" tabindex="0" aria-label="Tables">${known.tables.map(
    (table) => html`<li key=${table.name}>
      <button type="button" class="of-table" aria-expanded=${String(open === table.name)} onClick=${() => setOpen(open === table.name ? "" : table.name)}><strong>${table.name}</strong>
        <span class="note">${format.count(table.columns.length, "column")}</span></button>
      ${open === table.name ? html`<div class="columns"><button type="button" onClick=${() => onPut(firstStatement(table))}><span class="link">Ask for its newest rows</span></button>
        ${table.columns.map((column) => html`<button type="button" title="Put it where the cursor is" onClick=${() => onInsert(column.name)}><span>${column.name}</span><span class="note mono">${column.type}</span></button>`)}</div>` : null}
    </li>`,
  )}</ul>`;
}

function History({ ran, onPut }) {
  const { value, error } = usePolled((signal) => get("/v1/queries/history?limit=100", { signal }), 5000, [ran]);
  if (!value) return html`<${Failure} error=${error} />`;
  if (!value.queries.length) return html`<p class="empty">No statement was asked yet.</p>`;
  return html`<ul class="list" tabindex="0" aria-label="History, newest first">${value.queries.map(
    (each) => html`<li key=${each.number}><button type="button" onClick=${() => onPut(each.sql)}>
      <span class="mono">${each.sql}</span>
      <span class="note">${format.instant(each.asked_at)} · <span class=${each.outcome === "failed" ? "bad" : ""}>${each.outcome}</span>${each.outcome === "succeeded" ? ` · ${format.count(each.rows, "row")}` : ""} · ${each.who}</span>
    </button></li>`,
  )}</ul>`;
}

function Saved({ ran, onPut }) {
  const { value, error, again } = usePolled((signal) => get("/v1/saved-queries", { signal }), 0, [ran]);
  const remove = async (name) => {
    await call("DELETE", `/v1/saved-queries/${encodeURIComponent(name)}`);
    again();
  };
  if (!value) return html`<${Failure} error=${error} />`;
  if (!value.queries.length) return html`<p class="empty">Nothing is saved yet. “Save…” keeps the statement in the editor, in the data folder.</p>`;
  return html`<ul class="list saved" tabindex="0" aria-label="Saved statements">${value.queries.map(
    (each) => html`<li key=${each.name}><button type="button" onClick=${() => onPut(each.sql)}><strong>${each.name}</strong><span class="mono">${each.sql}</span></button>
      <button type="button" class="plain" aria-label="Remove ${each.name}" onClick=${() => remove(each.name)}>Remove</button></li>`,
  )}</ul>`;
}
