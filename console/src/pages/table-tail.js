// What arrives, as it arrives: good events and bad ones, with the reason.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { get, ofTable } from "../lib/api.js";
import * as format from "../lib/format.js";
import { Raw } from "../parts/event.js";
import { Failure } from "../parts/parts.js";

const KEPT = 200;
const PAUSE_MS = 500;
const AFTER_FAILURE_MS = 3000;
const WAIT_S = 20;

const pause = (ms, until) => new Promise((resolve) => {
  const timer = setTimeout(resolve, ms);
  until.addEventListener("abort", () => (clearTimeout(timer), resolve()));
});

export function Tail({ table }) {
  const [isPaused, setPaused] = useState(false);
  const [which, setWhich] = useState("all");
  const [state, setState] = useState({ events: [], received: 0, rejected: 0, last: null, error: null });
  useEffect(() => {
    if (isPaused) return undefined;
    const leaving = new AbortController();
    const { signal } = leaving;
    const follow = async () => {
      let after;
      while (!signal.aborted) {
        try {
          const came = await get(ofTable(table, "/tail", { after, wait_s: after ? WAIT_S : "", limit: 50 }), { signal });
          const isFirst = after === undefined;
          after = came.cursor;
          setState((before) => ({
            events: came.events.toReversed().concat(before.events).slice(0, KEPT),
            received: before.received + (isFirst ? 0 : came.received),
            rejected: before.rejected + (isFirst ? 0 : came.rejected),
            last: came,
            error: null,
          }));
          await pause(PAUSE_MS, signal);
        } catch (error) {
          if (signal.aborted) return;
          setState((before) => ({ ...before, error }));
          await pause(AFTER_FAILURE_MS, signal);
        }
      }
    };
    follow();
    return () => leaving.abort();
  }, [table, isPaused]);
  const shown = state.events.filter((each) => which === "all" || each.ok === (which === "good"));
  return html`
    <div class="row">
      <button type="button" aria-pressed=${String(isPaused)} onClick=${() => setPaused(!isPaused)}>${isPaused ? "Go on" : "Pause"}</button>
      <label>Show <select value=${which} onChange=${(event) => setWhich(event.target.value)}><option value="all">all events</option><option value="good">good ones</option><option value="bad">bad ones</option></select></label>
      <span class="note">${format.count(state.received, "event")} since this was opened, ${state.rejected ? html`<span class="bad">${format.whole(state.rejected)} bad</span>` : "none bad"}.
        ${state.last?.sampled ? ` Showing ${format.whole(state.last.shown)} of the last ${format.whole(state.last.received)}.` : ""}</span>
    </div>
    <${Failure} error=${state.error} />
    ${shown.length ? html`<div class="scroll" tabindex="0" role="region" aria-label="Events, newest first"><table>
      <thead><tr><th scope="col">Arrived</th><th scope="col">Event</th></tr></thead>
      <tbody>${shown.map((each) => html`<tr key=${`${each.number}`}><td class="stamp">${format.clockTime(each.arrived_at)} ${each.ok ? html`<span class="tag good">good</span>` : html`<span class="tag bad">bad</span>`}</td>
        <td class="wide"><${Raw} event=${{ ...each, start: each.reason?.start, end: each.reason?.end }} />${each.reason ? html`<div class="bad">${each.reason.column ? `${each.reason.column}: ` : ""}${each.reason.message}</div>` : null}</td></tr>`)}</tbody>
    </table></div>` : html`<p class="empty">${isPaused ? "Paused." : `Waiting for events${which === "all" ? "" : ` that are ${which}`}. “Send and ask” has commands that send some.`}</p>`}`;
}
