import{A as p,D as C,E as k,F as y,G as I,I as K,J as Q,M as W,N as F,O as d,P as L,Q as $,T as M,V as j,a as _,b as r,c,d as E,h as z,i as s,j as T,k as m,l as x,m as N,q as u,r as l,s as f,u as v,v as b,x as R,z as w}from"./chunk-U2CISNFO.js";var g=[{id:"overview",label:"Overview",key:"o"},{id:"hours",label:"Hours",key:"h"},{id:"table",label:"Table",key:"t"},{id:"quarantine",label:"Quarantine",key:"q"},{id:"sql",label:"SQL",key:"s"},{id:"jobs",label:"Jobs",key:"j"},{id:"cost",label:"Cost",key:"c"}];var h={g:!1,timer:0},P=[...g.map(({id:e,label:t,key:a})=>[["g",a],`Go to ${t}`]),[["?"],"Show the keys"],[["/"],"Go to the search field, or to the editor"],[["Ctrl","Enter"],"SQL: run the statement (⌘ Enter on a Mac)"],[["Ctrl","Space"],"SQL: complete what is being written"],[["Esc"],"SQL: leave the editor with Tab afterwards; in a dialog: close it"],[["←","→","↑","↓"],"In a grid, a calendar or a table of runs: move; Home, End, Page Up and Page Down too"],[["Enter"],"In a grid: show the whole value; in a calendar: show the hour"]],V=e=>e.closest?.("input, textarea, select, .editor, [contenteditable]")||e.shadowRoot;function H(e){addEventListener("keydown",t=>{if(!(t.ctrlKey||t.metaKey||t.altKey||V(t.target)||document.querySelector("dialog[open]"))){if(h.g){h.g=!1;let a=g.find(i=>i.key===t.key);a&&(t.preventDefault(),f(a.id))}else if(t.key==="g")h.g=!0,clearTimeout(h.timer),h.timer=setTimeout(()=>h.g=!1,1500);else if(t.key==="?")t.preventDefault(),e();else if(t.key==="/"){let a=document.querySelector("[data-search]");a&&(t.preventDefault(),(a.shadowRoot?.querySelector("[contenteditable]")??a).focus())}}})}var J=1e3,Y={bad:"Act now",warn:"Look at this",note:"Note"},X={bad:"critical",warn:"warning",note:""};function U(){let{value:e,error:t}=F(a=>x("/v1/overview",{signal:a}),J);return e?r`
    <${L} title="Overview">
      <span class="note">Rates are of the last seconds; all times are UTC (now ${Q(e.now)}).</span>
    </${L}>
    ${t?r`<${d} error=${t} />`:null}
    <${Z} items=${e.attention} />
    <${te} tables=${e.tables} />
    <${ae} queries=${e.queries} now=${e.now} />
    <${oe} value=${e} />`:t?r`<${d} error=${t} />`:r`<${$} />`}function Z({items:e}){return e.length?r`<section aria-labelledby="attention">
    <h2 id="attention">What needs attention</h2>
    <ul class="attention">${e.map(t=>r`<li key=${t.id} class=${X[t.severity]}>
        <span class="tag ${t.severity}">${Y[t.severity]??t.severity}</span>
        <div><div>${t.text}</div>${t.next_step?r`<div class="next">Next: ${t.next_step}</div>`:null}
          ${t.page&&t.page!=="overview"?r`<a href=${l(t.page,{table:t.page==="jobs"?"":t.table})}>Open ${ee(t.page)}</a>`:null}</div>
      </li>`)}</ul>
  </section>`:r`<p class="calm" role="status">✓ Nothing needs attention.</p>`}var ee=e=>e[0].toUpperCase()+e.slice(1);function te({tables:e}){return e.length?r`<div class="scroll" tabindex="0" role="region" aria-label="Tables">
    <table>
      <thead><tr><th scope="col">Table</th><th scope="col" class="n">Events/s</th><th scope="col" class="roomy">Last minute</th><th scope="col" class="n">Received</th>
        <th scope="col" class="n">Stored</th><th scope="col" class="n">Rejected</th><th scope="col" class="n">Lag</th><th scope="col">Newest hour</th>
        <th scope="col" class="n">Files</th><th scope="col" class="n">Disk</th></tr></thead>
      <tbody>${e.map(t=>r`<${re} key=${t.table} table=${t} />`)}</tbody>
    </table>
  </div>`:r`<p class="empty">No table is declared that you may see.</p>`}function re({table:e}){let{table:t,recent:a}=e,i=e.received!==null;return r`<tr data-table=${t}>
    <th scope="row"><a href=${l("table",{table:t})}>${t}</a></th>
    <td class="n">${C(e.events_per_s)}</td>
    <td class="roomy">${a?r`<${M} values=${a} label="${t}: ${C(Math.max(...a,0))} events a second at most in the last minute" />`:r`<span class="zero">${e.kind}</span>`}</td>
    <td class="n">${p(e.received)}</td>
    <td class="n">${p(i?e.stored:e.rows)}</td>
    <td class="n">${e.rejected?r`<a class="bad" href=${l("quarantine",{table:t})}>${p(e.rejected)} (${I(e.rejected,e.received)})</a>`:r`<span class="zero">${p(e.rejected)}</span>`}</td>
    <td class="n ${e.lag_s>60?"warn":""}">${i?y(e.lag_s):w}</td>
    <td>${e.newest_hour?r`<a href=${l("hours",{table:t})}>${W(e.newest_hour)}</a>`:w}</td>
    <td class="n">${p(e.files)}</td>
    <td class="n">${k(e.bytes)}</td>
  </tr>`}function ae({queries:e,now:t}){let[a,i]=c(null),n=o=>m("DELETE",`/v1/queries/${o}`).then(()=>i(null),i);return e.length?r`<section aria-labelledby="queries"><h2 id="queries">Queries that run now</h2>
    <${d} error=${a} />
    <div class="scroll" tabindex="0" role="region" aria-label="Queries that run now"><table>
      <thead><tr><th scope="col">Who</th><th scope="col">Workgroup</th><th scope="col">Since</th><th scope="col" class="n">Reads</th><th scope="col">Done</th><th scope="col">Statement</th><th scope="col"><span class="hidden">End</span></th></tr></thead>
      <tbody>${e.map(o=>r`<tr key=${o.id}><th scope="row">${o.who}</th><td>${o.workgroup}</td>
        <td>${o.started_at?y((Date.parse(t)-Date.parse(o.started_at))/1e3):"waits"}</td><td class="n">${k(o.progress.bytes)}</td>
        <td>${o.progress.share===null?w:r`<progress class="short" max="1" value=${o.progress.share} aria-label="Share of the query that is done"></progress>`}</td>
        <td class="wide"><code class="two-lines" title=${o.sql}>${o.sql}</code></td>
        <td><button type="button" onClick=${()=>n(o.id)}>End</button></td></tr>`)}</tbody>
    </table></div></section>`:null}function oe({value:e}){let{backup:t}=e;return r`<dl class="facts">
    <div><dt>Queries now</dt><dd>${p(e.queries.length)}</dd></div>
    <div><dt>Disk free</dt><dd>${k(e.disk_free_bytes)}</dd></div>
    <div><dt>Last back-up</dt><dd>${t?.at?y(t.age_s)+" ago":"never"}</dd></div>
    <div><dt>Running since</dt><dd>${K(e.since)}</dd></div>
  </dl>`}async function A(){s.value={...s.value,may:{...s.value.may,administer:!1}},s.value=await m("DELETE","/v1/session")}function G(){let[e,t]=c({});return r`<form class="sign-in panel" onSubmit=${async i=>{i.preventDefault();let n=new FormData(i.target);t({busy:!0});try{let o=await N("/v1/session",{name:n.get("name"),secret:n.get("secret")});u.value.page==="sign-in"&&f("overview"),s.value=o}catch(o){t({error:o})}}}>
    <h1>Sign in</h1>
    <p class="note">With a key of this warehouse: <code>dw keys create NAME --may query</code> makes one. Whoever runs the warehouse can
      also be <code>owner</code>, with the token of the data folder's lock file.</p>
    <label>Name or id of the key<input name="name" required autocomplete="username" autofocus data-search /></label>
    <label>Secret<input name="secret" type="password" required autocomplete="current-password" /></label>
    <${d} error=${e.error} />
    <button class="main" disabled=${e.busy}>Sign in</button>
  </form>`}var B={hours:()=>import("./hours-YQX633TZ.js"),table:()=>import("./table-YZZAS2NQ.js"),quarantine:()=>import("./quarantine-TDH4CKE3.js"),sql:()=>import("./sql-KXPNCVRE.js"),jobs:()=>import("./jobs-NOXCN3NA.js"),cost:()=>import("./cost-Y7TDYWOH.js")},q=z(!1),D=z(null);function ie({id:e}){let[t,a]=c({});return E(()=>{B[e]().then(i=>a({id:e,Page:i.Page}),()=>a({id:e,error:new Error("This page could not be loaded. The warehouse may have been updated: reload the console.")}))},[e]),t.id!==e?r`<${$} />`:t.error?r`<${d} error=${t.error} />`:r`<${t.Page} />`}function ne(){let{page:e}=u.value;return e==="overview"?r`<${U} />`:B[e]?r`<${ie} id=${e} />`:r`<p class="empty">There is no page “${e}”. <a href=${l("overview")}>Go to the overview.</a></p>`}function se(){let{page:e,params:t}=u.value,a=t.get("table"),i=["hours","table","quarantine"];return r`<nav aria-label="Pages">${g.map(({id:n,label:o})=>r`<a href=${l(n,i.includes(n)?{table:a}:{})} aria-current=${n===e?"page":null}>${o}</a>`)}</nav>`}function le(){let e=v[(v.indexOf(b.value)+1)%v.length],t={auto:"◐",light:"☀",dark:"☾"}[b.value];return r`<button class="plain" type="button" title="Colours: ${b.value}; change to ${e}" aria-label="Colours: ${b.value}; change to ${e}" onClick=${()=>R(e)}>${t}</button>`}function de(){return r`<${j} title="Keys" onClose=${()=>q.value=!1}>
    <dl class="keys">${P.map(([e,t])=>r`<dt>${e.map((a,i)=>r`${i?" ":""}<kbd>${a}</kbd>`)}</dt><dd>${t}</dd>`)}</dl>
  </${j}>`}function pe(){let{warehouse:e,needs_key:t,signed_in:a,name:i}=s.value,{page:n}=u.value,o=e??"Warehouse";E(()=>{document.title=`${g.find(S=>S.id===n)?.label??"Not found"} · ${o}`},[n,o]);let O=t&&!a||n==="sign-in";return r`
    <a class="skip" href="#main" onClick=${S=>(S.preventDefault(),document.getElementById("main").focus())}>Skip the menu</a>
    <header class="top">
      <a class="brand" href=${l("overview")}><img src="/console/favicon.svg" alt="" width="16" height="16" />${o}</a>
      ${O&&t?r`<span class="grow"></span>`:r`<${se} />`}
      <span class="row">
        ${a?r`<span class="note">${i}</span><button class="plain" type="button" onClick=${A}>Sign out</button>`:null}
        <${le} />
        <button class="plain" type="button" title="Keys (?)" aria-label="Keys" onClick=${()=>q.value=!0}>?</button>
      </span>
    </header>
    ${T.value?r`<p class="banner" role="alert">${T.value}</p>`:null}
    <main id="main" tabindex="-1">${O?r`<${G} />`:r`<${ne} key=${n} />`}</main>
    ${q.value?r`<${de} />`:null}`}function ce(){return s.value?r`<${pe} />`:r`<main>${D.value?r`<${d} error=${D.value} /><p><button type="button" onClick=${()=>location.reload()}>Try again</button></p>`:null}</main>`}x("/v1/session").then(e=>s.value=e,e=>D.value=e);H(()=>q.value=!0);_(r`<${ce} />`,document.getElementById("app"));
