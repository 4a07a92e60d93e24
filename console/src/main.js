import "./style.css";
import { html, render } from "htm/preact";
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { get, session, unreachable } from "./lib/api.js";
import { pages } from "./lib/pages.js";
import { address, route } from "./lib/route.js";
import { SHORTCUTS, listen } from "./lib/shortcuts.js";
import { CHOICES, choose, chosen } from "./lib/theme.js";
import { Overview } from "./pages/overview.js";
import { SignIn, signOut } from "./pages/sign-in.js";
import { Dialog, Failure, Waiting } from "./parts/parts.js";

const LATER = {
  hours: () => import("./pages/hours.js"),
  table: () => import("./pages/table.js"),
  quarantine: () => import("./pages/quarantine.js"),
  sql: () => import("./pages/sql.js"),
  jobs: () => import("./pages/jobs.js"),
  cost: () => import("./pages/cost.js"),
};
const showsKeys = signal(false);
const failed = signal(null);

/** A page whose code is fetched when it is first looked at. */
function Later({ id }) {
  const [found, setFound] = useState({});
  useEffect(() => {
    LATER[id]().then(
      (module) => setFound({ id, Page: module.Page }),
      () => setFound({ id, error: new Error("This page could not be loaded. The warehouse may have been updated: reload the console.") }),
    );
  }, [id]);
  if (found.id !== id) return html`<${Waiting} />`;
  return found.error ? html`<${Failure} error=${found.error} />` : html`<${found.Page} />`;
}

function Page() {
  const { page } = route.value;
  if (page === "overview") return html`<${Overview} />`;
  if (LATER[page]) return html`<${Later} id=${page} />`;
  return html`<p class="empty">There is no page “${page}”. <a href=${address("overview")}>Go to the overview.</a></p>`;
}

function Menu() {
  const { page, params } = route.value;
  const table = params.get("table");
  const keepsTable = ["hours", "table", "quarantine"];
  return html`<nav aria-label="Pages">${pages.map(
    ({ id, label }) => html`<a href=${address(id, keepsTable.includes(id) ? { table } : {})} aria-current=${id === page ? "page" : null}>${label}</a>`,
  )}</nav>`;
}

function Theme() {
  const next = CHOICES[(CHOICES.indexOf(chosen.value) + 1) % CHOICES.length];
  const sign = { auto: "◐", light: "☀", dark: "☾" }[chosen.value];
  return html`<button class="plain" type="button" title="Colours: ${chosen.value}; change to ${next}" aria-label="Colours: ${chosen.value}; change to ${next}" onClick=${() => choose(next)}>${sign}</button>`;
}

function Keys() {
  return html`<${Dialog} title="Keys" onClose=${() => (showsKeys.value = false)}>
    <dl class="keys">${SHORTCUTS.map(
      ([keys, what]) => html`<dt>${keys.map((key, at) => html`${at ? " " : ""}<kbd>${key}</kbd>`)}</dt><dd>${what}</dd>`,
    )}</dl>
  </${Dialog}>`;
}

function Frame() {
  const { warehouse, needs_key: needsKey, signed_in: signedIn, name } = session.value;
  const { page } = route.value;
  const title = warehouse ?? "Warehouse";
  useEffect(() => {
    document.title = `${pages.find((each) => each.id === page)?.label ?? "Not found"} · ${title}`;
  }, [page, title]);
  const mustSignIn = (needsKey && !signedIn) || page === "sign-in";
  return html`
    <a class="skip" href="#main" onClick=${(event) => (event.preventDefault(), document.getElementById("main").focus())}>Skip the menu</a>
    <header class="top">
      <a class="brand" href=${address("overview")}><img src="/console/favicon.svg" alt="" width="16" height="16" />${title}</a>
      ${mustSignIn && needsKey ? html`<span class="grow"></span>` : html`<${Menu} />`}
      <span class="row">
        ${signedIn ? html`<span class="note">${name}</span><button class="plain" type="button" onClick=${signOut}>Sign out</button>` : null}
        <${Theme} />
        <button class="plain" type="button" title="Keys (?)" aria-label="Keys" onClick=${() => (showsKeys.value = true)}>?</button>
      </span>
    </header>
    ${unreachable.value ? html`<p class="banner" role="alert">${unreachable.value}</p>` : null}
    <main id="main" tabindex="-1">${mustSignIn ? html`<${SignIn} />` : html`<${Page} key=${page} />`}</main>
    ${showsKeys.value ? html`<${Keys} />` : null}`;
}

function App() {
  if (session.value) return html`<${Frame} />`;
  return html`<main>${failed.value ? html`<${Failure} error=${failed.value} /><p><button type="button" onClick=${() => location.reload()}>Try again</button></p>` : null}</main>`;
}

get("/v1/session").then((answer) => (session.value = answer), (error) => (failed.value = error));
listen(() => (showsKeys.value = true));
render(html`<${App} />`, document.getElementById("app"));
