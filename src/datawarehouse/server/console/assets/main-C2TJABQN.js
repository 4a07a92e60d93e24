import{A as p,D as S,E as z,F as E,G as R,I,J as K,M as F,N as M,O as d,P as T,Q as w,T as P,V as C,a as L,b as a,c as f,d as h,h as O,i as n,j as $,k as _,l as x,m as D,q as c,r as l,s as b,u as v,v as m,x as N,z as q}from"./chunk-EAEXRQBQ.js";var u=[{id:"overview",label:"Overview",key:"o"},{id:"hours",label:"Hours",key:"h"},{id:"table",label:"Table",key:"t"},{id:"quarantine",label:"Quarantine",key:"q"},{id:"sql",label:"SQL",key:"s"},{id:"jobs",label:"Jobs",key:"j"},{id:"cost",label:"Cost",key:"c"}];var g={g:!1,timer:0},W=[...u.map(({id:e,label:t,key:r})=>[["g",r],`Go to ${t}`]),[["?"],"Show the keys"],[["/"],"Go to the search field, or to the editor"],[["Ctrl","Enter"],"SQL: run the statement (⌘ Enter on a Mac)"],[["Ctrl","Space"],"SQL: complete what is being written"],[["Esc"],"SQL: leave the editor with Tab afterwards; in a dialog: close it"],[["←","→","↑","↓"],"In a grid, a calendar or a table of runs: move; Home, End, Page Up and Page Down too"],[["Enter"],"In a grid: show the whole value; in a calendar: show the hour"]],B=e=>e.closest?.("input, textarea, select, .editor, [contenteditable]")||e.shadowRoot;function Q(e){addEventListener("keydown",t=>{if(!(t.ctrlKey||t.metaKey||t.altKey||B(t.target)||document.querySelector("dialog[open]"))){if(g.g){g.g=!1;let r=u.find(o=>o.key===t.key);r&&(t.preventDefault(),b(r.id))}else if(t.key==="g")g.g=!0,clearTimeout(g.timer),g.timer=setTimeout(()=>g.g=!1,1500);else if(t.key==="?")t.preventDefault(),e();else if(t.key==="/"){let r=document.querySelector("[data-search]");r&&(t.preventDefault(),(r.shadowRoot?.querySelector("[contenteditable]")??r).focus())}}})}var V=1e3,J={bad:"Act now",warn:"Look at this",note:"Note"},Y={bad:"critical",warn:"warning",note:""};function H(){let{value:e,error:t}=M(r=>x("/v1/overview",{signal:r}),V);return e?a`
    <${T} title="Overview">
      <span class="note">Rates are of the last seconds; all times are UTC (now ${K(e.now)}).</span>
    </${T}>
    ${t?a`<${d} error=${t} />`:null}
    <${X} items=${e.attention} />
    <${ee} tables=${e.tables} />
    <${ae} value=${e} />`:t?a`<${d} error=${t} />`:a`<${w} />`}function X({items:e}){return e.length?a`<section aria-labelledby="attention">
    <h2 id="attention">What needs attention</h2>
    <ul class="attention">${e.map(t=>a`<li key=${t.id} class=${Y[t.severity]}>
        <span class="tag ${t.severity}">${J[t.severity]??t.severity}</span>
        <div><div>${t.text}</div>${t.next_step?a`<div class="next">Next: ${t.next_step}</div>`:null}
          ${t.page&&t.page!=="overview"?a`<a href=${l(t.page,{table:t.page==="jobs"?"":t.table})}>Open ${Z(t.page)}</a>`:null}</div>
      </li>`)}</ul>
  </section>`:a`<p class="calm" role="status">✓ Nothing needs attention.</p>`}var Z=e=>e[0].toUpperCase()+e.slice(1);function ee({tables:e}){return e.length?a`<div class="scroll" tabindex="0" role="region" aria-label="Tables">
    <table>
      <thead><tr><th scope="col">Table</th><th scope="col" class="n">Events/s</th><th scope="col">Last minute</th><th scope="col" class="n">Received</th>
        <th scope="col" class="n">Stored</th><th scope="col" class="n">Rejected</th><th scope="col" class="n">Lag</th><th scope="col">Newest hour</th>
        <th scope="col" class="n">Files</th><th scope="col" class="n">Disk</th></tr></thead>
      <tbody>${e.map(t=>a`<${te} key=${t.table} table=${t} />`)}</tbody>
    </table>
  </div>`:a`<p class="empty">No table is declared that you may see.</p>`}function te({table:e}){let{table:t,recent:r}=e,o=e.received!==null;return a`<tr data-table=${t}>
    <th scope="row"><a href=${l("table",{table:t})}>${t}</a></th>
    <td class="n">${S(e.events_per_s)}</td>
    <td>${r?a`<${P} values=${r} label="${t}: ${S(Math.max(...r,0))} events a second at most in the last minute" />`:a`<span class="zero">${e.kind}</span>`}</td>
    <td class="n">${p(e.received)}</td>
    <td class="n">${p(o?e.stored:e.rows)}</td>
    <td class="n">${e.rejected?a`<a class="bad" href=${l("quarantine",{table:t})}>${p(e.rejected)} (${R(e.rejected,e.received)})</a>`:a`<span class="zero">${p(e.rejected)}</span>`}</td>
    <td class="n ${e.lag_s>60?"warn":""}">${o?E(e.lag_s):q}</td>
    <td>${e.newest_hour?a`<a href=${l("hours",{table:t})}>${F(e.newest_hour)}</a>`:q}</td>
    <td class="n">${p(e.files)}</td>
    <td class="n">${z(e.bytes)}</td>
  </tr>`}function ae({value:e}){let{backup:t}=e;return a`<dl class="facts">
    ${e.queries_running===void 0?null:a`<div><dt>Queries running</dt><dd>${p(e.queries_running)}</dd></div>`}
    <div><dt>Disk free</dt><dd>${z(e.disk_free_bytes)}</dd></div>
    <div><dt>Last back-up</dt><dd>${t?E(t.age_s)+" ago":"never"}</dd></div>
    <div><dt>Running since</dt><dd>${I(e.since)}</dd></div>
  </dl>`}async function U(){n.value={...n.value,may:{...n.value.may,administer:!1}},n.value=await _("DELETE","/v1/session")}function A(){let[e,t]=f({});return a`<form class="sign-in panel" onSubmit=${async o=>{o.preventDefault();let i=new FormData(o.target);t({busy:!0});try{let s=await D("/v1/session",{name:i.get("name"),secret:i.get("secret")});c.value.page==="sign-in"&&b("overview"),n.value=s}catch(s){t({error:s})}}}>
    <h1>Sign in</h1>
    <p class="note">With a key of this warehouse: <code>dw keys create NAME --may query</code> makes one. Whoever runs the warehouse can
      also be <code>owner</code>, with the token of the data folder's lock file.</p>
    <label>Name or id of the key<input name="name" required autocomplete="username" autofocus data-search /></label>
    <label>Secret<input name="secret" type="password" required autocomplete="current-password" /></label>
    <${d} error=${e.error} />
    <button class="main" disabled=${e.busy}>Sign in</button>
  </form>`}var G={hours:()=>import("./hours-IXD7IHQC.js"),table:()=>import("./table-BHYIRF6X.js"),quarantine:()=>import("./quarantine-7Y6CNC7L.js"),sql:()=>import("./sql-IATKWBT2.js"),jobs:()=>import("./jobs-HPRXMECN.js"),cost:()=>import("./cost-IHVQALTK.js")},k=O(!1);function re({id:e}){let[t,r]=f({});return h(()=>{G[e]().then(o=>r({id:e,Page:o.Page}),()=>r({id:e,error:new Error("This page could not be loaded. The warehouse may have been updated: reload the console.")}))},[e]),t.id!==e?a`<${w} />`:t.error?a`<${d} error=${t.error} />`:a`<${t.Page} />`}function oe(){let{page:e}=c.value;return e==="overview"?a`<${H} />`:G[e]?a`<${re} id=${e} />`:a`<p class="empty">There is no page “${e}”. <a href=${l("overview")}>Go to the overview.</a></p>`}function ie(){let{page:e,params:t}=c.value,r=t.get("table"),o=["hours","table","quarantine"];return a`<nav aria-label="Pages">${u.map(({id:i,label:s})=>a`<a href=${l(i,o.includes(i)?{table:r}:{})} aria-current=${i===e?"page":null}>${s}</a>`)}</nav>`}function ne(){let e=v[(v.indexOf(m.value)+1)%v.length],t={auto:"◐",light:"☀",dark:"☾"}[m.value];return a`<button class="plain" type="button" title="Colours: ${m.value}; change to ${e}" aria-label="Colours: ${m.value}; change to ${e}" onClick=${()=>N(e)}>${t}</button>`}function se(){return a`<${C} title="Keys" onClose=${()=>k.value=!1}>
    <dl class="keys">${W.map(([e,t])=>a`<dt>${e.map((r,o)=>a`${o?" ":""}<kbd>${r}</kbd>`)}</dt><dd>${t}</dd>`)}</dl>
  </${C}>`}function le(){let{warehouse:e,needs_key:t,signed_in:r,name:o}=n.value,{page:i}=c.value,s=e??"Warehouse";h(()=>{document.title=`${u.find(y=>y.id===i)?.label??"Not found"} · ${s}`},[i,s]);let j=t&&!r||i==="sign-in";return a`
    <a class="skip" href="#main" onClick=${y=>(y.preventDefault(),document.getElementById("main").focus())}>Skip the menu</a>
    <header class="top">
      <a class="brand" href=${l("overview")}><img src="/console/favicon.svg" alt="" width="16" height="16" />${s}</a>
      ${j&&t?a`<span class="grow"></span>`:a`<${ie} />`}
      <span class="row">
        ${r?a`<span class="note">${o}</span><button class="plain" type="button" onClick=${U}>Sign out</button>`:null}
        <${ne} />
        <button class="plain" type="button" title="Keys (?)" aria-label="Keys" onClick=${()=>k.value=!0}>?</button>
      </span>
    </header>
    ${$.value?a`<p class="banner" role="alert">${$.value}</p>`:null}
    <main id="main" tabindex="-1">${j?a`<${A} />`:a`<${oe} key=${i} />`}</main>
    ${k.value?a`<${se} />`:null}`}function de(){let[e,t]=f(),r=()=>x("/v1/session").then(o=>n.value=o,t);return h(()=>{r()},[]),n.value?a`<${le} />`:a`<main>${e?a`<${d} error=${e} /><p><button type="button" onClick=${()=>location.reload()}>Try again</button></p>`:null}</main>`}Q(()=>k.value=!0);L(a`<${de} />`,document.getElementById("app"));
