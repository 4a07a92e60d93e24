// Every call is to a route below /v1, which anybody may call (docs/reference/http.md).
import { signal } from "@preact/signals";

/** The answer of /v1/session: who is signed in, and what that lets the console show. */
export const session = signal(null);
/** What is wrong with the way to the server, in words; empty while there is nothing. */
export const unreachable = signal("");

export class ApiError extends Error {
  constructor(status, { code = "", message = `HTTP ${status}`, line = null, column = null } = {}) {
    super(message);
    Object.assign(this, { status, code, line, column });
  }
}

/** The answer to a call; raises ApiError. text: whether it is wanted as a text. */
export async function call(method, path, body, { signal: until, text = false } = {}) {
  const headers = { "x-dw-console": "1" };
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal: until, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    unreachable.value = "The warehouse does not answer. Is dw up still running? This page tries again by itself.";
    throw new ApiError(0, { code: "Unreachable", message: "The warehouse does not answer." });
  }
  unreachable.value = "";
  if (!response.ok) {
    if (response.status === 401 && session.value?.needs_key) session.value = { ...session.value, signed_in: false };
    throw new ApiError(response.status, (await response.json().catch(() => ({}))).error);
  }
  return text ? response.text() : response.json();
}

export const get = (path, options) => call("GET", path, undefined, options);
export const post = (path, body, options) => call("POST", path, body, options);

/** A path with its parameters; those that are empty are left out. */
export function path(base, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== null && value !== "") query.set(name, value);
  }
  const text = query.toString();
  return text ? `${base}?${text}` : base;
}

export const ofTable = (table, rest, params) => path(`/v1/tables/${encodeURIComponent(table)}${rest}`, params);

/**
 * JSON in which a number keeps its text where a double would change it: a bigint beyond 2^53, a decimal of 30 digits.
 * Such a number becomes a String object.
 */
export function parseExactly(text) {
  return JSON.parse(text, (_, value, context) => {
    const source = context?.source;
    if (typeof value !== "number" || source === undefined || String(value) === source) return value;
    return /[eE]/.test(source) || (source.replace(/[-.]/g, "").length <= 15) ? value : Object(source);
  });
}
