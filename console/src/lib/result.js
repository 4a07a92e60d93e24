// A query that was submitted, and the window of its result that is kept here.
import { signal } from "@preact/signals";
import { call, get, parseExactly, path, post } from "./api.js";

const BLOCK = 200; // rows
const BLOCKS_MAX = 20;
const OVER = ["succeeded", "failed", "ended"];

/** Rows of one result in blocks, the most recently wanted of which are kept. */
class Blocks {
  constructor(id, onChange) {
    Object.assign(this, { id, onChange, columns: [], types: null, total: 0, kept: new Map(), coming: new Set() });
  }
  row(at) {
    return this.kept.get(Math.floor(at / BLOCK))?.[at % BLOCK];
  }
  want(from, to) {
    for (let block = Math.floor(from / BLOCK); block * BLOCK < to; block += 1) {
      const kept = this.kept.get(block);
      if (kept) {
        this.kept.delete(block);
        this.kept.set(block, kept); // the newest is last
      }
      const isWhole = kept && (kept.length === BLOCK || block * BLOCK + kept.length >= this.total);
      if (!isWhole && !this.coming.has(block)) this.load(block);
    }
  }
  async load(block) {
    this.coming.add(block);
    try {
      await this.read(block * BLOCK, BLOCK, (rows) => {
        this.kept.set(block, rows);
        for (const oldest of [...this.kept.keys()].slice(0, Math.max(0, this.kept.size - BLOCKS_MAX))) this.kept.delete(oldest);
      });
    } catch {
      // the state of the query says what is wrong
    }
    this.coming.delete(block);
    this.onChange();
  }
  /** Rows from the server, which are given to `take`; how many there are in all. */
  async read(offset, limit, take, until) {
    const text = await call("GET", path(`/v1/queries/${this.id}/rows`, { offset, limit }), undefined, { text: true, signal: until });
    const answer = parseExactly(text);
    if (!answer.columns) return 0; // nothing is there yet
    this.columns = answer.columns;
    this.types = answer.types;
    this.total = Math.max(this.total, answer.total);
    take(answer.rows);
    return answer.total;
  }
  /** The first rows, up to so many; for a chart. */
  async first(most, until) {
    const found = [];
    while (found.length < Math.min(most, this.total)) {
      let came = 0;
      await this.read(found.length, Math.min(1000, most - found.length), (rows) => {
        found.push(...rows);
        came = rows.length;
      }, until);
      if (!came) break;
    }
    return found;
  }
}

export class Run {
  /** state: what the server says of the query, or null before it has answered. */
  constructor(sql) {
    this.sql = sql;
    this.state = signal(null);
    this.error = signal(null);
    this.version = signal(0);
    this.blocks = null;
    this.leaving = new AbortController();
  }
  get isOver() {
    return this.error.value !== null || OVER.includes(this.state.value?.state);
  }
  async start(options) {
    await this.follow(() => post("/v1/queries", { sql: this.sql, format: "ndjson", ...options }, { signal: this.leaving.signal }));
  }
  /** Look at a query that somebody has asked before. */
  async resume(id) {
    await this.follow(() => get(`/v1/queries/${id}`, { signal: this.leaving.signal }));
  }
  async follow(first) {
    const { signal: until } = this.leaving;
    try {
      let state = await first();
      this.sql ||= state.sql;
      this.blocks = new Blocks(state.id, () => (this.version.value += 1));
      this.state.value = state;
      while (!OVER.includes(state.state)) {
        state = await get(`/v1/queries/${state.id}?wait_s=1`, { signal: until });
        await this.look(state, until);
        this.state.value = state;
      }
      await this.look(state, until);
      if (state.error) this.error.value = state.error;
    } catch (error) {
      if (error.name !== "AbortError") this.error.value = error;
    }
    this.version.value += 1;
  }
  async look(state, until) {
    if (!state.result || state.error || state.state === "waiting") return;
    await this.blocks.read(0, BLOCK, (rows) => this.blocks.kept.set(0, rows), until);
    this.version.value += 1;
  }
  /** End the query, on the server too. */
  async cancel() {
    if (this.state.value && !this.isOver) await call("DELETE", `/v1/queries/${this.state.value.id}`).catch(() => {});
  }
  leave() {
    this.leaving.abort();
  }
}
