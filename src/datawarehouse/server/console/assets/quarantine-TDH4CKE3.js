import{a as D}from"./chunk-MJARFDAX.js";import{a as F}from"./chunk-YRAAQSZI.js";import{A as S,C as k,G as T,I as h,K as b,L as j,M as p,N as C,O as v,P as E,Q as g,R as O,S as A,b as e,g as R,l as _,o as u,q as w,r as q,t as f,z as N}from"./chunk-U2CISNFO.js";var $=36e5,H=24*$,K=1e4,M={1:"a day",7:"7 days",31:"31 days",366:"a year"};function Z(){let{table:t,tables:s,error:n,isKnown:l}=O(a=>a.kind==="streaming input table");return l?t?e`<${P} table=${t} tables=${s} key=${t} />`:e`<p class="empty">No table takes events here, so nothing can be rejected.</p>`:n?e`<${v} error=${n} />`:e`<${g} />`}function P({table:t,tables:s}){let{params:n}=w.value,l=Number(n.get("days"))in M?Number(n.get("days")):7,a=Math.floor(Date.now()/$)*$+$,d=n.get("from")&&n.get("to"),c=d?{from:n.get("from"),to:n.get("to")}:{from:j(a-l*H),to:j(a)},{value:r,error:i}=C(o=>_(u(t,"/quarantine",c),{signal:o}),K,[t,c.from,c.to]);return e`
    <${E} title="Quarantine">
      <${A} table=${t} tables=${s} />
      ${d?e`<span>${p(c.from)} to ${p(c.to)} <button type="button" onClick=${()=>f({from:"",to:""})}>Show ${M[l]}</button></span>`:e`<label>Range <select value=${l} onChange=${o=>f({days:o.target.value})}>${Object.entries(M).map(([o,m])=>e`<option value=${o}>${m}</option>`)}</select></label>`}
      <span class="note">Events that could not be stored, with the reason.</span>
      <a class="button" href=${u(t,"/quarantine",{...c,format:"csv"})} download>CSV</a>
    </${E}>
    <${v} error=${i} />
    ${r?e`<${Q} table=${t} value=${r} asked=${c} />`:i?null:e`<${g} />`}`}var y=t=>`${t.error_code}|${t.column_name??""}`;function Q({table:t,value:s,asked:n}){let{causes:l,rejected:a,trend:d}=s,c=w.value.params.get("cause"),r=l.find(o=>y(o)===c)??l[0];if(!a)return e`<p class="calm" role="status">✓ No event of ${t} was rejected from ${p(s.from)} to ${p(s.to)}.</p>`;let i=d.received.reduce((o,m)=>o+m,0);return e`
    <p role="status"><strong class="bad">${k(a,"event")} rejected</strong> of ${S(i)} (${T(a,i)}), for ${k(l.length,"cause")}.
      They are kept, and can be asked for: <a href=${q("sql",{sql:`select *
from ${t}_quarantine
where inserted_at >= '${s.from}'
limit 100`})}>${t}_quarantine</a></p>
    <${V} trend=${d} value=${s} table=${t} />
    <section aria-labelledby="causes"><h2 id="causes">Causes</h2>
      <div class="scroll" tabindex="0" role="region" aria-label="Causes"><table>
        <thead><tr><th scope="col">Column</th><th scope="col" class="n">Events</th><th scope="col" class="n">Share</th><th scope="col">Expected</th><th scope="col">Kind of error</th><th scope="col">First</th><th scope="col">Latest</th><th scope="col"><span class="hidden">Samples</span></th></tr></thead>
        <tbody>${l.map(o=>e`<tr key=${y(o)}>
          <th scope="row">${o.column_name||e`<span class="note">whole event</span>`}</th>
          <td class="n">${S(o.records)}</td><td class="n">${T(o.records,a)}</td><td class="wide">${o.expected||N}</td><td>${o.error_code}</td><td>${h(o.first)}</td><td>${h(o.latest)}</td>
          <td><button type="button" aria-pressed=${String(o===r)} onClick=${()=>f({cause:y(o)})}>Samples</button></td></tr>`)}</tbody>
      </table></div>
    </section>
    ${r?e`<${Y} table=${t} cause=${r} asked=${n} key=${y(r)} />`:null}`}function V({trend:t,value:s,table:n}){let l=R(()=>{let[a,d]=[b(s.from),b(s.to)],c=(d-a)/$>192?H:$,r=Math.max(1,Math.ceil((d-a)/c)),i=new Array(r).fill(0);return t.hour.forEach((o,m)=>{let x=Math.floor((b(o)-a)/c);x>=0&&x<r&&(i[x]+=t.rejected[m])}),{each:c,x:i.map((o,m)=>(a+m*c)/1e3),series:[{label:"rejected",values:i,isBars:!0,colour:"bad"}]}},[t]);return e`<section class="panel" aria-label="Trend"><h2>Rejected events ${l.each===$?"an hour":"a day"}</h2>
    <${F} x=${l.x} series=${l.series} tall=${140} label="Rejected events of ${n} over time" /></section>`}function Y({table:t,cause:s,asked:n}){let{error_code:l,column_name:a}=s,{value:d,error:c}=C(r=>_(u(t,"/quarantine/samples",{...n,error_code:l,column_name:a,limit:10}),{signal:r}),0,[t,l,a,n.from,n.to]);return e`<section aria-labelledby="samples"><h2 id="samples">Samples${a?e` of ${a}`:""}</h2>
    ${s.expected?e`<p class="note">Expected: ${s.expected}.</p>`:null}
    <${v} error=${c} />
    ${d?e`<div class="scroll" tabindex="0" role="region" aria-label="Samples"><table>
      <thead><tr><th scope="col">Arrived</th><th scope="col">Received</th><th scope="col">As it came</th></tr></thead>
      <tbody>${d.samples.map(r=>e`<tr><td>${h(r.arrived_at)}</td>
        <td class="wide">${r.received?e`<strong>${r.received}</strong>${r.expected===s.expected?"":e`, expected ${r.expected}`}`:r.error_message}</td><td class="wide"><${D} event=${r} /></td></tr>`)}</tbody>
    </table></div>`:c?null:e`<${g} />`}
  </section>`}export{Z as Page};
