// Small pieces that several pages show.
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../lib/api.js";
import { usePolled } from "../lib/poll.js";
import { change, route } from "../lib/route.js";
import { colour, shown } from "../lib/theme.js";

export function Failure({ error }) {
  if (!error) return null;
  return html`<p class="error" role="alert">${error.message}</p>`;
}

/** A heading with what stands beside it. */
export function Head({ title, children }) {
  return html`<div class="head"><h1>${title}</h1>${children}</div>`;
}

export function Empty({ children }) {
  return html`<p class="empty">${children}</p>`;
}

export function Waiting() {
  return html`<p class="note" role="status">Loading…</p>`;
}

/** The tables that there are, of a kind that the page is about; the one that the address names, or the first. */
export function useTable(isWanted = () => true) {
  const { value, error } = usePolled((signal) => get("/v1/tables", { signal }), 0);
  const tables = (value?.tables ?? []).filter(isWanted);
  const named = route.value.params.get("table");
  const table = named ?? tables[0]?.table ?? "";
  return { table, tables, error, isKnown: value !== undefined, about: tables.find((each) => each.table === table) };
}

export function TableChoice({ table, tables }) {
  const names = tables.map((each) => each.table);
  const listed = names.includes(table) || !table ? names : [table, ...names];
  return html`<label>Table
    <select data-search value=${table} onChange=${(event) => change({ table: event.target.value, hour: "", from: "", to: "", cause: "" })}>
      ${listed.map((name) => html`<option value=${name}>${name}</option>`)}
    </select></label>`;
}

const SPARK_VALUES = 60;

/** A line of small bars: the newest values, oldest first, at most SPARK_VALUES; the newest is on the right. */
export function Spark({ values, label }) {
  const canvas = useRef();
  useEffect(() => {
    const { current } = canvas;
    const scale = devicePixelRatio || 1;
    const [width, height] = [120, 22];
    current.width = width * scale;
    current.height = height * scale;
    const context = current.getContext("2d");
    context.scale(scale, scale);
    context.fillStyle = colour("series-1");
    const most = Math.max(1, ...values);
    const step = width / SPARK_VALUES;
    values.slice(-SPARK_VALUES).forEach((value, index, { length }) => {
      const at = SPARK_VALUES - length + index;
      const tall = value ? Math.max(1, (value / most) * (height - 1)) : 0;
      context.fillRect(at * step, height - tall, Math.max(step - 0.5, 1), tall);
    });
  }, [values.join(), shown.value]);
  return html`<canvas class="spark" ref=${canvas} role="img" aria-label=${label}></canvas>`;
}

export function CopyButton({ text, label = "Copy" }) {
  const [said, say] = useState(label);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      say("Copied");
    } catch {
      say("Not allowed");
    }
    setTimeout(() => say(label), 1500);
  };
  return html`<button type="button" onClick=${copy}>${said}</button>`;
}

/** A dialog that is open as long as it is there. */
export function Dialog({ title, onClose, children }) {
  const dialog = useRef();
  useEffect(() => {
    dialog.current.showModal();
  }, []);
  return html`<dialog ref=${dialog} aria-label=${title} onClose=${onClose} onClick=${(event) => event.target === dialog.current && dialog.current.close()}>
    <div class="row"><h2 class="grow">${title}</h2><button type="button" onClick=${() => dialog.current.close()}>Close</button></div>
    ${children}
  </dialog>`;
}
