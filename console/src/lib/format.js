// Numbers, sizes and instants as text. Instants are UTC throughout.
const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

export const NONE = "–";

export const whole = (value) => (value === null || value === undefined ? NONE : WHOLE.format(value));
export const short = (value) => (value === null || value === undefined ? NONE : SHORT.format(value));
export const count = (value, one, many = `${one}s`) => `${whole(value)} ${value === 1 ? one : many}`;

export function rate(per_s) {
  if (per_s === null || per_s === undefined) return NONE;
  if (per_s === 0) return "0";
  return per_s < 10 ? per_s.toFixed(1) : WHOLE.format(per_s);
}

export function bytes(size) {
  if (size === null || size === undefined) return NONE;
  let unit = 0;
  let value = size;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit && value < 99.95 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

export function seconds(value) {
  if (value === null || value === undefined) return NONE;
  if (value < 0.001) return "0 s";
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 90) return `${Math.round(value)} s`;
  if (value < 5400) return `${Math.round(value / 60)} min`;
  if (value < 36 * 3600) return `${Math.round(value / 3600)} h`;
  return `${Math.round(value / 86400)} days`;
}

export function share(part, of) {
  if (!of) return NONE;
  const percent = (100 * part) / of;
  if (percent === 0) return "0 %";
  return percent < 0.1 ? "< 0.1 %" : `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
}

export const dollars = (value) =>
  value === null || value === undefined
    ? NONE
    : value === 0
      ? "$0"
      : value < 0.0001
        ? "< $0.0001"
        : `$${value < 0.01 ? value.toFixed(4) : value.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;

/** 2026-11-30 08:15:00 of an instant that is a text in ISO 8601 or a number of milliseconds. */
export function instant(at) {
  if (at === null || at === undefined || at === "") return NONE;
  return new Date(at).toISOString().slice(0, 19).replace("T", " ");
}
export const clockTime = (at) => (at ? new Date(at).toISOString().slice(11, 19) : NONE);

/** Partitions are hours, '2026/11/30/08'. */
export const hourStart = (partition) => Date.parse(`${partition.slice(0, 10).replaceAll("/", "-")}T${partition.slice(11, 13)}:00:00Z`);
export const partitionOf = (ms) => new Date(ms).toISOString().slice(0, 13).replaceAll("-", "/").replace("T", "/");
export const hourText = (partition) => (partition ? `${partition.slice(0, 10).replaceAll("/", "-")} ${partition.slice(11, 13)}:00` : NONE);

export function ago(at, now = Date.now()) {
  if (!at) return NONE;
  const past = (now - new Date(at).getTime()) / 1000;
  return past < 1 ? "now" : `${seconds(past)} ago`;
}
