import { html } from "htm/preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { call, get, path, post, session } from "../lib/api.js";
import * as format from "../lib/format.js";
import { usePolled } from "../lib/poll.js";
import { address, change, route } from "../lib/route.js";
import { Failure, Head, Waiting } from "../parts/parts.js";

const HOUR_MS = 3_600_000;
const EVERY_MS = 5000;
const RANGES = { 24: "24 hours", 48: "48 hours", 168: "7 days" };
const LOOKS = {
  succeeded: { sign: "✓", colour: "good", word: "succeeded" },
  failed: { sign: "✗", colour: "bad", word: "failed" },
  running: { sign: "…", colour: "accent", word: "is running" },
  interrupted: { sign: "!", colour: "warn", word: "was interrupted" },
};
const CAUSES = { schedule: "on schedule", complete: "when its tables were complete", retry: "again after a failure", "asked for": "asked for by somebody" };

export function Page() {
  const { params } = route.value;
  const hours = Number(params.get("hours")) in RANGES ? Number(params.get("hours")) : 48;
  const until = Math.floor(Date.now() / HOUR_MS) * HOUR_MS + HOUR_MS;
  const asked = { from: format.partitionOf(until - hours * HOUR_MS), to: format.partitionOf(until) };
  const { value, error, again } = usePolled((signal) => get(path("/v1/jobs", asked), { signal }), EVERY_MS, [asked.from, asked.to]);
  const mayRun = value?.may_run && session.value.may.administer;
  return html`
    <${Head} title="Jobs">
      <label>Range <select data-search value=${hours} onChange=${(event) => change({ hours: event.target.value, run: "" })}>${Object.entries(RANGES).map(([name, label]) => html`<option value=${name}>${label}</option>`)}</select></label>
      <span class="note">The last run for each hour, UTC; choose one to see its attempts.</span>
    </${Head}>
    <${Failure} error=${error} />
    ${!value ? (error ? null : html`<${Waiting} />`) : !value.jobs.length ? html`<p class="empty">No table of this warehouse is filled by a job.</p>` : html`
      <${Runs} jobs=${value.jobs} until=${until} hours=${hours} />
      <${Chosen} jobs=${value.jobs} mayRun=${mayRun} onAsked=${again} />
      ${mayRun ? html`<${Backfill} jobs=${value.jobs} /><${Tasks} />` : html`<${MayNot} />`}`}`;
}

function MayNot() {
  return html`<p class="note">Jobs can be run again here by who may administer: ${session.value.signed_in ? "this key may not." : html`<a href=${address("sign-in")}>sign in</a> with a key (<code>dw keys create NAME --may administer,query</code>), or as <code>owner</code>.`}</p>`;
}

function Runs({ jobs, until, hours }) {
  const box = useRef();
  const list = Array.from({ length: hours }, (_, at) => format.partitionOf(until - (hours - at) * HOUR_MS));
  const chosen = chosenRun(jobs);
  useLayoutEffect(() => {
    box.current.scrollLeft = box.current.scrollWidth; // the newest hours are on the right
  }, [hours]);
  const begins = list.filter((hour, at) => at === 0 || Number(hour.slice(11)) % 6 === 0);
  const onKeyDown = (event) => {
    const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const cell = event.target.closest("[data-at]");
    if (!by || !cell) return;
    event.preventDefault();
    let [row, column] = cell.dataset.at.split(",").map(Number);
    do {
      row += by[0];
      column += by[1];
      const next = box.current.querySelector(`[data-at="${row},${column}"]`);
      if (next) return void next.focus();
    } while (row >= 0 && row < jobs.length && column >= 0 && column < hours);
  };
  return html`<div class="scroll panel" ref=${box} onKeyDown=${onKeyDown}><table class="runs" aria-label="Runs of jobs by hour">
    <thead><tr><th scope="col">Job</th>${begins.map((hour, at) => {
      const wide = (at + 1 < begins.length ? list.indexOf(begins[at + 1]) : hours) - list.indexOf(hour);
      const isDay = hour.endsWith("/00") || at === 0;
      return html`<th scope="colgroup" colspan=${wide}>${wide < 3 ? "" : isDay ? hour.slice(5, 10).replace("/", "-") : `${hour.slice(11)}:00`}</th>`;
    })}</tr></thead>
    <tbody>${jobs.map((job, row) => {
      const of = Object.fromEntries(job.runs.map((run) => [run.hour, run]));
      return html`<tr key=${job.job}><th scope="row">${job.job}<div class="note">${job.schedule ?? ""}</div><div class="note">${counted(job.runs)}</div></th>${list.map((hour, column) => {
        const run = of[hour];
        if (!run) return html`<td></td>`;
        const look = LOOKS[run.outcome] ?? LOOKS.interrupted;
        const name = `${job.job}|${hour}`;
        const said = `${job.job} ${format.hourText(hour)}: ${look.word}${run.attempts > 1 ? `, attempt ${run.attempts}` : ""}`;
        return html`<td><button type="button" class=${look.colour} data-at="${row},${column}" aria-label=${said} title=${said} aria-pressed=${String(name === chosen)} onClick=${() => change({ run: name })}>${look.sign}</button></td>`;
      })}</tr>`;
    })}</tbody>
  </table></div>
  <p class="legend">${Object.values(LOOKS).map(({ sign, colour, word }) => html`<span><span class=${colour}>${sign}</span> ${word}</span>`)}</p>`;
}

/** "28 succeeded, 4 failed". */
function counted(runs) {
  const counts = Object.keys(LOOKS).map((name) => [name, runs.filter((run) => run.outcome === name).length]);
  return counts.filter(([, count]) => count).map(([name, count]) => `${format.whole(count)} ${name}`).join(", ");
}

/** The run that the address names, or else the latest that failed, or the latest. */
function chosenRun(jobs) {
  const named = route.value.params.get("run");
  if (named) return named;
  const runs = jobs.flatMap((job) => job.runs.map((run) => ({ name: `${job.job}|${run.hour}`, ...run }))).sort((a, b) => (a.hour < b.hour ? 1 : -1));
  return (runs.find((run) => run.outcome === "failed") ?? runs[0])?.name ?? "";
}

function Chosen({ jobs, mayRun, onAsked }) {
  const [job, hour] = chosenRun(jobs).split("|");
  const [said, say] = useState(null);
  const about = jobs.find((each) => each.job === job);
  const last = about?.runs.find((each) => each.hour === hour);
  if (!about) return null;
  const again = async () => {
    try {
      await post(`/v1/jobs/${encodeURIComponent(job)}/runs`, { at: last?.scheduled_at ?? null });
      say(null);
      onAsked();
    } catch (error) {
      say(error);
    }
  };
  return html`<section class="panel" aria-label="The chosen run">
    <div class="row"><h2>${job}, ${format.hourText(hour)}</h2>${mayRun ? html`<button type="button" onClick=${again}>Run again</button>` : null}
      ${last ? html`<a class="button" href=${address("table", { table: job, view: "files", hour })}>What it wrote</a>` : null}</div>
    <${Failure} error=${said} />
    ${mayRun ? html`<${Attempts} job=${job} hour=${hour} of=${last?.id} />` : last ? html`<p>${outcome(last)}. Its error and its attempts are shown to who may administer.</p>` : null}</section>`;
}

const outcome = ({ outcome: name, rows, seconds }) => `It ${LOOKS[name]?.word ?? name}${rows === null || rows === undefined ? "" : ` with ${format.count(rows, "row")}`}${seconds === null || seconds === undefined ? "" : ` in ${format.seconds(seconds)}`}`;

function Attempts({ job, hour, of }) {
  const { value, error } = usePolled((signal) => get(path(`/v1/jobs/${encodeURIComponent(job)}/runs`, { hour, limit: 20 }), { signal }), EVERY_MS, [job, hour, of]);
  if (!value) return error ? html`<${Failure} error=${error} />` : html`<${Waiting} />`;
  return value.runs.map((run, at) => html`<article key=${run.id}>
    <p><span class="tag ${LOOKS[run.outcome]?.colour === "good" ? "good" : LOOKS[run.outcome]?.colour === "bad" ? "bad" : ""}">attempt ${run.attempt}</span> ${format.instant(run.started)}: ${outcome(run)}${run.cause ? html`, <span class="note">${CAUSES[run.cause] ?? run.cause}</span>` : ""}.</p>
    ${run.error ? html`<details open=${at === 0}><summary>${run.error.trim().split("\n").at(-1)}</summary><pre tabindex="0">${run.error}</pre></details>` : null}
  </article>`);
}

function Backfill({ jobs }) {
  const [state, setState] = useState({});
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const at = (name) => (form.get(name) ? `${form.get(name)}:00Z`.replace(/(T\d\d:\d\d):00:00Z$/, "$1:00Z") : null);
    try {
      await post(`/v1/jobs/${encodeURIComponent(form.get("job"))}/backfills`, { from: at("from"), to: at("to"), again: form.has("again") });
      setState({ said: "The backfill has begun; its progress is below." });
    } catch (error) {
      setState({ error });
    }
  };
  return html`<form class="panel" onSubmit=${submit} aria-label="Backfill"><div class="row"><h2>Backfill</h2>
    <label>Job <select name="job">${jobs.map((each) => html`<option>${each.job}</option>`)}</select></label>
    <label>From (UTC) <input type="datetime-local" name="from" required step="3600" /></label><label>to <input type="datetime-local" name="to" step="3600" /></label>
    <label><input type="checkbox" name="again" /> also where it has succeeded</label><button class="main">Run for each hour</button></div>
    <${Failure} error=${state.error} />${state.said ? html`<p class="note" role="status">${state.said}</p>` : null}</form>`;
}

function Tasks() {
  const { value, error, again } = usePolled((signal) => get("/v1/job-tasks", { signal }), 1000);
  const end = async (id) => {
    await call("DELETE", `/v1/job-tasks/${id}`).catch(() => {});
    again();
  };
  if (!value?.tasks.length) return html`<${Failure} error=${error} />`;
  return html`<section aria-labelledby="tasks"><h2 id="tasks">What was asked for here</h2>
    <div class="scroll" tabindex="0" role="region" aria-label="Tasks"><table>
      <thead><tr><th scope="col">Job</th><th scope="col">Task</th><th scope="col">Progress</th><th scope="col" class="n">Done</th><th scope="col" class="n">Failed</th><th scope="col" class="n">Left out</th><th scope="col">Asked</th><th scope="col"><span class="hidden">End</span></th></tr></thead>
      <tbody>${value.tasks.map((each) => html`<tr key=${each.id}><th scope="row">${each.job}</th><td>${each.kind}, ${each.state}</td>
        <td><progress max=${each.total || 1} value=${each.done} aria-label="Progress of ${each.job}"></progress></td><td class="n">${format.whole(each.done)} of ${format.whole(each.total)}</td><td class="n ${each.failed ? "bad" : "zero"}">${format.whole(each.failed)}</td>
        <td class="n zero">${format.whole(each.left_out)}</td><td>${format.instant(each.asked_at)} by ${each.who}</td>
        <td>${each.state === "running" ? html`<button type="button" onClick=${() => end(each.id)}>End</button>` : null}</td></tr>
        ${each.errors?.length ? html`<tr><td colspan="8" class="wide bad">${each.errors.map((line) => html`<div>${line}</div>`)}</td></tr>` : null}`)}</tbody>
    </table></div></section>`;
}
