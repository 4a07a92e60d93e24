import{A as c,H as i,N as v,O as u,P as m,Q as f,b as a,l as p,n,q as b,t as y}from"./chunk-U2CISNFO.js";var g={1:"a day",7:"7 days",31:"31 days"};function N(){let{params:e}=b.value,r=Number(e.get("days"))in g?Number(e.get("days")):7,{value:d,error:t}=v(s=>p(n("/v1/cost",{days:r}),{signal:s}),0,[r]);return a`
    <${m} title="Cost">
      <label>What arrived in <select data-search value=${r} onChange=${s=>y({days:s.target.value})}>${Object.entries(g).map(([s,o])=>a`<option value=${s}>${o}</option>`)}</select></label>
      <span class="note">What the events that really arrived would cost on AWS. Nothing here costs anything now.</span>
      <a class="button" href=${n("/v1/cost",{days:r})} target="_blank" rel="noreferrer">JSON</a>
    </${m}>
    <${u} error=${t} />
    ${d?a`<${_} value=${d} />`:t?null:a`<${f} />`}`}function _({value:e}){let r=Object.entries(e.usd_per_day_by_service).filter(([,t])=>t>0),d=Math.max(...r.map(([,t])=>t),0);return a`
    <dl class="facts">
      <div><dt>A day</dt><dd>${i(e.usd_per_day)}</dd></div>
      <div><dt>A month</dt><dd>${i(e.usd_per_month)}</dd></div>
      <div><dt>Region</dt><dd>${e.region}</dd></div>
      <div><dt>Prices of</dt><dd>${e.prices_compiled}</dd></div>
    </dl>
    <div class="two">
      <section aria-labelledby="streams"><h2 id="streams">What arrived</h2>
        <${$} label="What arrived" names=${["Table","Events a day","Bytes of one"]} rows=${e.streams.map(t=>[t.table,c(Math.round(t.events_per_day)),c(Math.round(t.event_bytes))])} /></section>
      <section aria-labelledby="services"><h2 id="services">By service, a day</h2>
        <div class="scroll" tabindex="0" role="region" aria-label="By service"><table><tbody>${r.map(([t,s])=>a`<tr><th scope="row">${t}</th><td class="n">${i(s)}</td>
          <td><progress max=${d} value=${s} aria-label="${t}, beside the dearest"></progress></td></tr>`)}</tbody></table></div></section>
    </div>
    ${e.alternatives.length?a`<section aria-labelledby="others"><h2 id="others">With another setting, a day</h2>
      <${$} label="With another setting" names=${["Setting","A day"]} rows=${e.alternatives.map(t=>[t.setting,i(t.usd_per_day)])} /></section>`:null}
    <section aria-labelledby="lines"><h2 id="lines">Each line, a day</h2>
      <${$} label="Each line" names=${["What is counted","Service","Quantity","Unit","Price","A day"]} left=${2} rows=${e.lines.filter(t=>t.usd_per_day>0).map(t=>[t.counted,t.service,t.quantity.toLocaleString("en",{maximumFractionDigits:4}),t.unit,`$${t.usd_per_unit}`,i(t.usd_per_day)])} /></section>
    <p class="note">Prices were compiled from published lists and are not AWS's bill. <code>dw cost</code> says where each comes from, and takes more settings.</p>`}function $({label:e,names:r,rows:d,left:t=1}){let s=o=>o>=t?"n":"";return a`<div class="scroll" tabindex="0" role="region" aria-label=${e}><table>
    <thead><tr>${r.map((o,l)=>a`<th scope="col" class=${s(l)}>${o}</th>`)}</tr></thead>
    <tbody>${d.map(o=>a`<tr>${o.map((l,h)=>h?a`<td class=${s(h)}>${l}</td>`:a`<th scope="row" style=${{whiteSpace:"normal"}}>${l}</th>`)}</tr>`)}</tbody>
  </table></div>`}export{N as Page};
