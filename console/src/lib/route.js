// The address of a view: #/PAGE?NAME=VALUE. It stays behind the #, so that no log of a server or proxy has a statement.
import { signal } from "@preact/signals";

const parsed = () => {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  return { page: path || "overview", params: new URLSearchParams(query) };
};

export const route = signal(parsed());

addEventListener("hashchange", () => {
  route.value = parsed();
});

/** The address of a page; parameters that are empty are left out. */
export function address(page, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== null && value !== "") query.set(name, value);
  }
  const text = query.toString();
  return `#/${page}${text ? `?${text}` : ""}`;
}

export function go(page, params) {
  location.hash = address(page, params);
}

/** Change parameters of the page that is shown; back does not come by here. */
export function change(params) {
  const { page, params: now } = route.value;
  const to = address(page, { ...Object.fromEntries(now), ...params });
  if (to === location.hash) return;
  history.replaceState(null, "", to);
  route.value = parsed();
}
