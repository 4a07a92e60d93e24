// A record as it came, with the part that was wrong marked.
import { html } from "htm/preact";

export function Raw({ event }) {
  const { text, base64, truncated, start, end } = event;
  if (text === null || text === undefined) return html`<code>${base64 ? `base64: ${base64.slice(0, 400)}` : ""}</code>`;
  const isMarked = start !== null && start !== undefined && end > start;
  return html`<code>${isMarked ? html`${text.slice(0, start)}<mark>${text.slice(start, end)}</mark>${text.slice(end)}` : text}${truncated ? html`<span class="note"> … (longer)</span>` : null}</code>`;
}
