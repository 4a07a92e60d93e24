import{A as c,F as v,H as i,N as u,O as f,P as m,Q as g,b as a,l as p,n,q as b,t as y}from"./chunk-EAEXRQBQ.js";var _={1:"a day",7:"7 days",31:"31 days"};function N(){let{params:t}=b.value,r=Number(t.get("days"))in _?Number(t.get("days")):7,{value:o,error:e}=u(s=>p(n("/v1/cost",{days:r}),{signal:s}),0,[r]);return a`
    <${m} title="Cost">
      <label>What arrived in <select data-search value=${r} onChange=${s=>y({days:s.target.value})}>${Object.entries(_).map(([s,d])=>a`<option value=${s}>${d}</option>`)}</select></label>
      <span class="note">What the events that really arrived would cost on AWS. Nothing here costs anything now.</span>
      <a class="button" href=${n("/v1/cost",{days:r})} target="_blank" rel="noreferrer">JSON</a>
    </${m}>
    <${f} error=${e} />
    ${o?a`<${w} value=${o} />`:e?null:a`<${g} />`}`}function w({value:t}){let r=Object.entries(t.usd_per_day_by_service).filter(([,e])=>e>0),o=Math.max(...r.map(([,e])=>e),0);return a`
    <dl class="facts">
      <div><dt>A day</dt><dd>${i(t.usd_per_day)}</dd></div>
      <div><dt>A month</dt><dd>${i(t.usd_per_month)}</dd></div>
      <div><dt>Measured</dt><dd>${v(t.measured_days*86400)}</dd></div>
      <div><dt>Region</dt><dd>${t.region}</dd></div>
      <div><dt>Prices of</dt><dd>${t.prices_compiled}</dd></div>
    </dl>
    <div class="two">
      <section aria-labelledby="streams"><h2 id="streams">What arrived</h2>
        <${$} label="What arrived" names=${["Table","Events a day","Bytes of one"]} rows=${t.streams.map(e=>[e.table,c(Math.round(e.events_per_day)),c(Math.round(e.event_bytes))])} /></section>
      <section aria-labelledby="services"><h2 id="services">By service, a day</h2>
        <div class="scroll" tabindex="0" role="region" aria-label="By service"><table><tbody>${r.map(([e,s])=>a`<tr><th scope="row">${e}</th><td class="n">${i(s)}</td>
          <td><progress max=${o} value=${s} aria-label="${e}, beside the dearest"></progress></td></tr>`)}</tbody></table></div></section>
    </div>
    ${t.alternatives.length?a`<section aria-labelledby="others"><h2 id="others">With another setting, a day</h2>
      <${$} label="With another setting" names=${["Setting","A day"]} rows=${t.alternatives.map(e=>[e.setting,i(e.usd_per_day)])} /></section>`:null}
    <section aria-labelledby="lines"><h2 id="lines">Each line, a day</h2>
      <${$} label="Each line" names=${["What is counted","Service","Quantity","Unit","Price","A day"]} left=${2} rows=${t.lines.filter(e=>e.usd_per_day>0).map(e=>[e.counted,e.service,e.quantity.toLocaleString("en",{maximumFractionDigits:4}),e.unit,`$${e.usd_per_unit}`,i(e.usd_per_day)])} /></section>
    <p class="note">Prices were compiled from published lists and are not AWS's bill. <code>dw cost</code> says where each comes from, and takes more settings.</p>`}function $({label:t,names:r,rows:o,left:e=1}){let s=d=>d>=e?"n":"";return a`<div class="scroll" tabindex="0" role="region" aria-label=${t}><table>
    <thead><tr>${r.map((d,l)=>a`<th scope="col" class=${s(l)}>${d}</th>`)}</tr></thead>
    <tbody>${o.map(d=>a`<tr>${d.map((l,h)=>h?a`<td class=${s(h)}>${l}</td>`:a`<th scope="row" style=${{whiteSpace:"normal"}}>${l}</th>`)}</tr>`)}</tbody>
  </table></div>`}export{N as Page};
