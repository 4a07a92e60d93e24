import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { call, post, session } from "../lib/api.js";
import { go, route } from "../lib/route.js";
import { Failure } from "../parts/parts.js";

export async function signOut() {
  session.value = { ...session.value, may: { ...session.value.may, administer: false } }; // what it lets ask ends first
  session.value = await call("DELETE", "/v1/session");
}

export function SignIn() {
  const [state, setState] = useState({});
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    setState({ busy: true });
    try {
      const answer = await post("/v1/session", { name: form.get("name"), secret: form.get("secret") });
      if (route.value.page === "sign-in") go("overview");
      session.value = answer;
    } catch (error) {
      setState({ error });
    }
  };
  return html`<form class="sign-in panel" onSubmit=${submit}>
    <h1>Sign in</h1>
    <p class="note">With a key of this warehouse: <code>dw keys create NAME --may query</code> makes one. Whoever runs the warehouse can
      also be <code>owner</code>, with the token of the data folder's lock file.</p>
    <label>Name or id of the key<input name="name" required autocomplete="username" autofocus data-search /></label>
    <label>Secret<input name="secret" type="password" required autocomplete="current-password" /></label>
    <${Failure} error=${state.error} />
    <button class="main" disabled=${state.busy}>Sign in</button>
  </form>`;
}
