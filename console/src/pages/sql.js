import { html } from "htm/preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { call, get, path, post } from "../lib/api.js";
import * as format from "../lib/format.js";
import { change, route } from "../lib/route.js";
import { Run } from "../lib/result.js";
import { Grid } from "../parts/grid.js";
import { Failure, Head } from "../parts/parts.js";
import { Shelf } from "./sql-shelf.js";
import { ResultChart } from "./sql-chart.js";

const ESTIMATE_AFTER_MS = 600;
const URL_BYTES_MAX = 24_000; // of a statement in an address
const FORMATS = { csv: "CSV", ndjson: "NDJSON", parquet: "Parquet" };
const OF_RESULT = { query: "", from: "", to: "" }; // how it is drawn is kept, as far as its columns have the names

export function Page() {
  const { params } = route.value;
  const [text, setText] = useState(params.get("sql") ?? "");
  const [fullScan, setFullScan] = useState(false);
  const [workgroup, setWorkgroup] = useState("");
  const [known, setKnown] = useState(null);
  const [run, setRun] = useState(null);
  const [ran, setRan] = useState(0);
  const host = useRef();
  const editor = useRef(null);
  const found = useRef(null);
  const options = { workgroup: workgroup || undefined, full_scan: fullScan || undefined };
  const hasRun = run?.sql === text.trim();
  const [estimate, estimateError] = useEstimate(hasRun ? "" : text, options);

  const start = async () => {
    const sql = (editor.current?.text ?? text).trim();
    if (!sql) return;
    editor.current?.settle();
    run?.leave();
    run?.cancel();
    const next = new Run(sql);
    setRun(next);
    change({ ...OF_RESULT, sql });
    const running = next.start(options);
    await Promise.race([running, new Promise((resolve) => next.state.subscribe((state) => state && resolve()))]);
    if (next.state.value) change({ query: next.state.value.id });
    await running;
    setRan((before) => before + 1);
  };
  const starting = useRef(start);
  starting.current = start;

  useEffect(() => {
    let here = true;
    import("../parts/editor.js").then(({ Editor }) => {
      if (!here) return;
      editor.current = new Editor(host.current, { text, onChange: setText, onRun: () => starting.current() });
      if (found.current) editor.current.know(found.current);
      if (!params.get("query")) editor.current.focus();
    });
    get("/v1/completion").then((all) => {
      found.current = all; // it may be here before the editor is
      if (here) setKnown(all);
    }, () => {});
    const id = params.get("query");
    if (id) {
      const earlier = new Run(params.get("sql") ?? "");
      setRun(earlier);
      earlier.resume(id);
    }
    return () => {
      here = false;
      editor.current?.destroy();
    };
  }, []);
  useEffect(() => {
    if (known) editor.current?.know(known);
  }, [known]);
  useEffect(() => () => run?.leave(), [run]);
  useEffect(() => {
    const later = setTimeout(() => change({ sql: text }), 300);
    return () => clearTimeout(later);
  }, [text]);
  const failed = run?.error.value && run.sql === text.trim() ? run.error.value : estimateError;
  useEffect(() => {
    editor.current?.mark(failed);
  }, [failed, text]);

  const put = (sql) => {
    setText(sql);
    if (editor.current) editor.current.text = sql;
    editor.current?.focus();
  };
  const isRunning = run && !run.isOver;
  return html`
    <${Head} title="SQL"><span class="note">Athena SQL. <kbd>Ctrl</kbd> <kbd>Enter</kbd> runs the statement.</span></${Head}>
    <div class="sql">
      <section aria-label="Statement and result">
        <div class="editor" ref=${host} data-search></div>
        <div class="row">
          <button type="button" class="main" disabled=${!text.trim() || isRunning} onClick=${start}>Run</button>
          <button type="button" disabled=${!isRunning} onClick=${() => run.cancel()}>Cancel</button>
          <${Save} text=${text} onSaved=${() => setRan((before) => before + 1)} />
          ${known?.workgroups?.length > 1 ? html`<label>Workgroup <select value=${workgroup} onChange=${(event) => setWorkgroup(event.target.value)}>
            <option value="">default</option>${known.workgroups.map((name) => html`<option value=${name}>${name}</option>`)}</select></label>` : null}
          <label><input type="checkbox" checked=${fullScan} onChange=${(event) => setFullScan(event.target.checked)} /> Allow a full scan</label>
        </div>
        ${hasRun ? null : html`<${Estimate} text=${text} estimate=${estimate} error=${estimateError} onUse=${put} />`}
        ${run && !hasRun && text.trim() ? html`<p class="note">Below is what ran before the statement was changed.</p>` : null}
        ${run ? html`<${Result} run=${run} options=${options} key=${run} />` : html`<p class="empty">No statement has run here yet. A table on the right puts a statement into the editor.</p>`}
      </section>
      <${Shelf} known=${known} ran=${ran} onPut=${put} onInsert=${(name) => editor.current?.insert(name)} />
    </div>`;
}

/** What the statement would read, or why it may not: asked once nobody types any more. */
function useEstimate(text, options) {
  const [found, setFound] = useState([null, null]);
  const asked = JSON.stringify(options);
  useEffect(() => {
    setFound([null, null]);
    if (!text.trim()) return undefined;
    const leaving = new AbortController();
    const timer = setTimeout(async () => {
      try {
        setFound([await post("/v1/query", { sql: text, dry_run: true, ...options }, { signal: leaving.signal }), null]);
      } catch (error) {
        if (error.name !== "AbortError") setFound([null, error]);
      }
    }, ESTIMATE_AFTER_MS);
    return () => {
      clearTimeout(timer);
      leaving.abort();
    };
  }, [text, asked]);
  return found;
}

function Estimate({ text, estimate, error, onUse }) {
  if (!text.trim()) return html`<p class="estimate">What a statement would read is said here before it runs.</p>`;
  if (error) return html`<p class="estimate"><span>${error.message}</span></p>`;
  if (!estimate) return html`<p class="estimate">…</p>`;
  const { allowed, refusals, rewritten, estimate: reads } = estimate;
  const what = reads ? `Reads ${format.count(reads.partitions, "hour")} in ${format.count(reads.files, "file")}, ${format.bytes(reads.bytes)}; Athena would take ${format.dollars(reads.athena_usd)}.` : "";
  if (allowed) return html`<p class="estimate" role="status"><span>${what}</span></p>`;
  return html`<div class="estimate"><div class="bad" role="status">${refusals.map((each) => html`<div>${each.message ?? each}</div>`)}</div>${what}
    ${rewritten ? html`<button type="button" onClick=${() => onUse(rewritten)}>Use the statement that would pass</button><code>${rewritten}</code>` : null}</div>`;
}

function Save({ text, onSaved }) {
  const [asks, setAsks] = useState(false);
  const [error, setError] = useState(null);
  const save = async (event) => {
    event.preventDefault();
    const name = new FormData(event.target).get("name").trim();
    try {
      await call("PUT", `/v1/saved-queries/${encodeURIComponent(name)}`, { sql: text });
      setAsks(false);
      setError(null);
      onSaved();
    } catch (failure) {
      setError(failure);
    }
  };
  if (!asks) return html`<button type="button" disabled=${!text.trim()} onClick=${() => setAsks(true)}>Save…</button>`;
  return html`<form class="row" onSubmit=${save}><input name="name" required maxlength="100" aria-label="Name of the saved query" placeholder="Name" ref=${(input) => input?.focus()} />
    <button>Save</button><button type="button" class="plain" onClick=${() => setAsks(false)}>Not now</button><${Failure} error=${error} /></form>`;
}

function Result({ run, options }) {
  const state = run.state.value;
  const error = run.error.value;
  const { blocks } = run;
  const view = route.value.params.get("view") || "rows";
  const version = run.version.value;
  if (error?.code === "UnknownQuery") return html`<p class="empty">The result of this statement is no longer kept. Run it again.</p>`;
  if (error) return html`<div><${Failure} error=${error} />${state ? html`<p class="note">${summary(state)}</p>` : null}</div>`;
  if (!state) return html`<p class="note" role="status">Asking…</p>`;
  const isOver = run.isOver;
  return html`
    <div class="row" role="status">
      ${isOver ? null : html`<progress aria-label="Progress" max="1" value=${state.progress.share ?? undefined}></progress>`}
      <span class="note">${isOver ? summary(state) : progress(state)}</span>
    </div>
    ${blocks?.columns.length ? html`
      <div class="row">
        <div class="tabs grow" role="tablist" aria-label="Result">
          ${["rows", "chart"].map((name) => html`<button type="button" role="tab" aria-selected=${String(view === name)} onClick=${() => change({ view: name === "rows" ? "" : name })}>${name === "rows" ? "Rows" : "Chart"}</button>`)}
        </div>
        ${isOver ? html`<${Export} sql=${run.sql} options=${options} total=${blocks.total} />` : null}
      </div>
      ${view === "chart" ? html`<${ResultChart} run=${run} isOver=${isOver} />`
        : blocks.total ? html`<${Grid} blocks=${blocks} version=${version} label="Result, ${format.count(blocks.total, "row")}" />`
        : html`<p class="empty">${isOver ? "The statement has no rows as its result." : "No rows yet."}</p>`}`
      : isOver ? html`<p class="empty">The statement has no rows as its result.</p>` : null}`;
}

function progress({ state, progress: now }) {
  if (state === "waiting") return "Waits for other statements.";
  const part = now.share ? `${Math.round(now.share * 100)} % done; ` : "";
  return `Running: ${part}${format.count(now.rows, "row")} so far, reading ${format.bytes(now.bytes)} in ${format.count(now.files, "file")}.`;
}

function summary({ progress: read, started_at: began, ended_at: ended }) {
  const took = began && ended ? ` in ${format.seconds((Date.parse(ended) - Date.parse(began)) / 1000)}` : "";
  return `${format.count(read.rows, "row")}${took}; read ${format.bytes(read.bytes)} in ${format.count(read.files, "file")}.`;
}

function Export({ sql, options, total }) {
  const [said, say] = useState("");
  const isLong = useMemo(() => encodeURIComponent(sql).length > URL_BYTES_MAX, [sql]);
  const fetchAll = async (format_) => {
    say("Reading…");
    try {
      const response = await fetch("/v1/query", {
        method: "POST", headers: { "content-type": "application/json", "x-dw-console": "1" }, body: JSON.stringify({ sql, format: format_, ...options }),
      });
      if (!response.ok) throw new Error((await response.json()).error.message);
      const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(await response.blob()), download: `result.${format_}` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      say("");
    } catch (error) {
      say(error.message);
    }
  };
  return html`<span class="row"><span class="note">${said || `Export all ${format.whole(total)}:`}</span>${Object.entries(FORMATS).map(([name, label]) =>
    isLong ? html`<button type="button" onClick=${() => fetchAll(name)}>${label}</button>`
      : html`<a class="button" download href=${path("/v1/query", { sql, format: name, download: "result", ...options })}>${label}</a>`,
  )}</span>`;
}
