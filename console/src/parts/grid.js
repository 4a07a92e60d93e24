// A grid of a result that stays on the server: the rows and columns that can be seen, and a few around them.
//
// 1. The scroll bar stands for all rows; beyond TALL_MAX pixels, which browsers do not scroll well, it is scaled.
// 2. Rows come in blocks, of which a few are kept; a row that is not there yet is drawn empty.
import { html } from "htm/preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { CopyButton, Dialog } from "./parts.js";

const ROW = 24;
const NAMES = 26;
const NUMBER = 72;
const TALL_MAX = 8_000_000;
const AROUND = 4;
const WIDTHS = { least: 64, most: 380, letter: 7.3, padding: 20 };
const TEXT_MAX = 300;

/** The text of a value as a result has it. */
export function textOf(value) {
  if (value === null || value === undefined) return "NULL";
  if (value instanceof String || value instanceof Number) return String(value);
  return typeof value === "object" ? JSON.stringify(plain(value)) : String(value);
}
/** With numbers that kept their text as such. */
const plain = (value) => {
  if (value instanceof String) return String(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]));
  return value;
};

export const isNumeric = (type) => /^(tinyint|smallint|int|integer|bigint|real|float|double|decimal)/.test(type ?? "");

function widthsOf(columns, rows) {
  return columns.map((name, at) => {
    const longest = rows.reduce((most, row) => Math.max(most, textOf(row[at]).length), name.length);
    return Math.round(Math.min(WIDTHS.most, Math.max(WIDTHS.least, longest * WIDTHS.letter + WIDTHS.padding)));
  });
}

/** blocks: {columns, types, total, row(at) -> values or undefined, want(from, to)}; version changes when rows have come. */
export function Grid({ blocks, version, label }) {
  const box = useRef();
  const [seen, setSeen] = useState({ top: 0, left: 0, height: 400, width: 800 });
  const [at, setAt] = useState({ row: 0, column: 0 });
  const [whole, setWhole] = useState(null);
  const widths = useRef([]);
  const { columns, types, total } = blocks;

  if (widths.current.length !== columns.length || (!widths.current.fromRows && blocks.row(0))) {
    const first = Array.from({ length: Math.min(total, 50) }, (_, each) => blocks.row(each)).filter(Boolean);
    widths.current = widthsOf(columns, first);
    widths.current.fromRows = first.length > 0;
  }
  const measure = () => {
    const { scrollTop: top, scrollLeft: left, clientHeight: height, clientWidth: width } = box.current;
    setSeen({ top, left, height, width });
  };
  useLayoutEffect(() => {
    measure();
    const watching = new ResizeObserver(measure);
    watching.observe(box.current);
    return () => watching.disconnect();
  }, []);

  const body = Math.max(0, seen.height - NAMES);
  const fits = Math.max(1, Math.floor(body / ROW));
  const tall = Math.min(total * ROW, TALL_MAX);
  const isScaled = total * ROW > TALL_MAX;
  const firstAt = isScaled ? (seen.top / Math.max(1, tall - body)) * (total - fits) : seen.top / ROW;
  const from = Math.max(0, Math.floor(firstAt) - AROUND);
  const to = Math.min(total, Math.ceil(firstAt) + fits + AROUND);
  const scrollTo = (first) => {
    const wanted = Math.max(0, Math.min(first, total - fits));
    box.current.scrollTop = isScaled ? (wanted / (total - fits)) * (tall - body) : wanted * ROW;
  };
  useEffect(() => {
    blocks.want(from, to);
  }, [from, to, total]);

  const offsets = [0];
  for (const width of widths.current) offsets.push(offsets.at(-1) + width);
  const allWidth = NUMBER + offsets.at(-1);
  const left = Math.max(0, seen.left - 200);
  const firstColumn = Math.max(0, offsets.findIndex((end) => end > left) - 1);
  let lastColumn = firstColumn;
  while (lastColumn < columns.length && offsets[lastColumn] < seen.left + seen.width + 200) lastColumn += 1;
  const shown = columns.slice(firstColumn, lastColumn).map((_, index) => index + firstColumn);

  const moveTo = (row, column) => {
    const next = { row: Math.max(0, Math.min(row, total - 1)), column: Math.max(0, Math.min(column, columns.length - 1)) };
    setAt(next);
    if (next.row < firstAt) scrollTo(next.row);
    else if (next.row > firstAt + fits - 1) scrollTo(next.row - fits + 1);
    const [begin, end] = [offsets[next.column], offsets[next.column + 1]];
    if (begin < seen.left) box.current.scrollLeft = begin;
    else if (end + NUMBER > seen.left + seen.width) box.current.scrollLeft = end + NUMBER - seen.width;
  };
  const show = (row, column) => {
    const values = blocks.row(row);
    if (values) setWhole({ name: columns[column], type: types?.[column], row, value: values[column] });
  };
  const onKeyDown = (event) => {
    const { row, column } = at;
    const moves = {
      ArrowDown: [row + 1, column], ArrowUp: [row - 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      PageDown: [row + fits, column], PageUp: [row - fits, column],
      Home: event.ctrlKey ? [0, 0] : [row, 0], End: event.ctrlKey ? [total - 1, columns.length - 1] : [row, columns.length - 1],
    };
    if (moves[event.key]) moveTo(...moves[event.key]);
    else if (event.key === "Enter") show(row, column);
    else if (event.key === "c" && (event.ctrlKey || event.metaKey) && !String(getSelection())) navigator.clipboard?.writeText(textOf(blocks.row(row)?.[column]));
    else return;
    event.preventDefault();
  };

  const lines = [];
  for (let row = from; row < to; row += 1) {
    const values = blocks.row(row);
    const top = NAMES + seen.top + (row - firstAt) * ROW;
    lines.push(html`<div key=${row} class="line" role="row" aria-rowindex=${row + 2} style=${{ top: `${top}px`, width: `${allWidth}px` }}>
      <span class="cell number" role="rowheader" style=${{ width: `${NUMBER}px` }}>${row + 1}</span>
      <span style=${{ flex: "none", width: `${offsets[firstColumn]}px` }}></span>
      ${shown.map((column) => {
        const value = values?.[column];
        const isAt = at.row === row && at.column === column;
        const looks = `cell mono${isNumeric(types?.[column]) ? " n" : ""}${values && value === null ? " null" : ""}${isAt ? " at" : ""}`;
        return html`<span class=${looks} role="gridcell" aria-colindex=${column + 2} id=${isAt ? "grid-at" : null} style=${{ width: `${widths.current[column]}px` }}
          onMouseDown=${() => setAt({ row, column })} onDblClick=${() => show(row, column)}>${values ? textOf(value).slice(0, TEXT_MAX) : ""}</span>`;
      })}
    </div>`);
  }
  return html`<div class="grid" ref=${box} tabindex="0" role="grid" aria-label=${label} aria-rowcount=${total + 1} aria-colcount=${columns.length + 1}
      aria-activedescendant="grid-at" onScroll=${measure} onKeyDown=${onKeyDown}>
    <div class="line names" role="row" aria-rowindex="1" style=${{ width: `${allWidth}px` }}>
      <span class="cell number" role="columnheader" style=${{ width: `${NUMBER}px` }}>#</span>
      <span style=${{ flex: "none", width: `${offsets[firstColumn]}px` }}></span>
      ${shown.map((column) => html`<span class="cell${isNumeric(types?.[column]) ? " n" : ""}" role="columnheader" aria-colindex=${column + 2} title="${columns[column]}${types?.[column] ? `: ${types[column]}` : ""}"
        style=${{ width: `${widths.current[column]}px` }}>${columns[column]}</span>`)}
    </div>
    <div class="space" role="presentation" style=${{ height: `${tall}px`, width: `${allWidth}px` }}></div>
    ${lines}
    ${whole ? html`<${Whole} ...${whole} onClose=${() => (setWhole(null), box.current.focus())} />` : null}
  </div>`;
}

function Whole({ name, type, row, value, onClose }) {
  const text = value && typeof value === "object" && !(value instanceof String) ? JSON.stringify(plain(value), null, 2) : textOf(value);
  return html`<${Dialog} title="${name}, row ${(row + 1).toLocaleString("en")}" onClose=${onClose}>
    ${type ? html`<p class="note">${type}, ${text.length.toLocaleString("en")} characters</p>` : null}
    <pre class="fold" tabindex="0">${text}</pre>
    <div class="row"><${CopyButton} text=${text} /></div>
  </${Dialog}>`;
}
