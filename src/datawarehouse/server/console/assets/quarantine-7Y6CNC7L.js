import{a as D}from"./chunk-SQXOJ24N.js";import{a as F}from"./chunk-TALDDWL3.js";import{A as x,C as k,G as T,I as h,K as b,L as j,M as u,N as C,O as g,P as E,Q as v,R as O,S as A,b as o,g as q,l as w,o as f,q as S,r as N,t as p,z as R}from"./chunk-EAEXRQBQ.js";var $=36e5,H=24*$,K=1e4,M={1:"a day",7:"7 days",31:"31 days",366:"a year"};function Z(){let{table:t,tables:c,error:s,isKnown:n}=O(r=>r.kind==="streaming input table");return n?t?o`<${P} table=${t} tables=${c} key=${t} />`:o`<p class="empty">No table takes events here, so nothing can be rejected.</p>`:s?o`<${g} error=${s} />`:o`<${v} />`}function P({table:t,tables:c}){let{params:s}=S.value,n=Number(s.get("days"))in M?Number(s.get("days")):7,r=Math.floor(Date.now()/$)*$+$,i=s.get("from")&&s.get("to"),l=i?{from:s.get("from"),to:s.get("to")}:{from:j(r-n*H),to:j(r)},{value:a,error:d}=C(e=>w(f(t,"/quarantine",l),{signal:e}),K,[t,l.from,l.to]);return o`
    <${E} title="Quarantine">
      <${A} table=${t} tables=${c} />
      ${i?o`<span>${u(l.from)} to ${u(l.to)} <button type="button" onClick=${()=>p({from:"",to:""})}>Show ${M[n]}</button></span>`:o`<label>Range <select value=${n} onChange=${e=>p({days:e.target.value})}>${Object.entries(M).map(([e,m])=>o`<option value=${e}>${m}</option>`)}</select></label>`}
      <span class="note">Events that could not be stored, with the reason.</span>
      <a class="button" href=${f(t,"/quarantine",{...l,format:"csv"})} download>CSV</a>
    </${E}>
    <${g} error=${d} />
    ${a?o`<${Q} table=${t} value=${a} asked=${l} />`:d?null:o`<${v} />`}`}var y=t=>`${t.error_code}|${t.column_name??""}`;function Q({table:t,value:c,asked:s}){let{causes:n,rejected:r,trend:i}=c,l=S.value.params.get("cause"),a=n.find(e=>y(e)===l)??n[0];if(!r)return o`<p class="calm" role="status">✓ No event of ${t} was rejected from ${u(c.from)} to ${u(c.to)}.</p>`;let d=i.received.reduce((e,m)=>e+m,0);return o`
    <p role="status"><strong class="bad">${k(r,"event")} rejected</strong> of ${x(d)} (${T(r,d)}), for ${k(n.length,"cause")}.
      They are kept, and can be asked for: <a href=${N("sql",{sql:`select *
from ${t}_quarantine
where inserted_at >= '${c.from}'
limit 100`})}>${t}_quarantine</a></p>
    <${V} trend=${i} value=${c} table=${t} />
    <section aria-labelledby="causes"><h2 id="causes">Causes</h2>
      <div class="scroll" tabindex="0" role="region" aria-label="Causes"><table>
        <thead><tr><th scope="col">Column</th><th scope="col">Expected</th><th scope="col">Kind of error</th><th scope="col" class="n">Events</th><th scope="col" class="n">Share</th><th scope="col">First</th><th scope="col">Latest</th><th scope="col"><span class="hidden">Samples</span></th></tr></thead>
        <tbody>${n.map(e=>o`<tr key=${y(e)}>
          <th scope="row">${e.column_name||o`<span class="note">whole event</span>`}</th><td class="wide">${e.expected||R}</td><td>${e.error_code}</td>
          <td class="n">${x(e.records)}</td><td class="n">${T(e.records,r)}</td><td>${h(e.first)}</td><td>${h(e.latest)}</td>
          <td><button type="button" aria-pressed=${String(e===a)} onClick=${()=>p({cause:y(e)})}>Samples</button></td></tr>`)}</tbody>
      </table></div>
    </section>
    ${a?o`<${W} table=${t} cause=${a} asked=${s} key=${y(a)} />`:null}`}function V({trend:t,value:c,table:s}){let n=q(()=>{let[r,i]=[b(c.from),b(c.to)],l=(i-r)/$>192?H:$,a=Math.max(1,Math.ceil((i-r)/l)),d=new Array(a).fill(0);return t.hour.forEach((e,m)=>{let _=Math.floor((b(e)-r)/l);_>=0&&_<a&&(d[_]+=t.rejected[m])}),{each:l,x:d.map((e,m)=>(r+m*l)/1e3),series:[{label:"rejected",values:d,isBars:!0,colour:"bad"}]}},[t]);return o`<section class="panel" aria-label="Trend"><h2>Rejected events ${n.each===$?"an hour":"a day"}</h2>
    <${F} x=${n.x} series=${n.series} tall=${140} label="Rejected events of ${s} over time" /></section>`}function W({table:t,cause:c,asked:s}){let{error_code:n,column_name:r}=c,{value:i,error:l}=C(a=>w(f(t,"/quarantine/samples",{...s,error_code:n,column_name:r,limit:10}),{signal:a}),0,[t,n,r,s.from,s.to]);return o`<section aria-labelledby="samples"><h2 id="samples">Samples${r?o` of ${r}`:""}</h2>
    <${g} error=${l} />
    ${i?o`<div class="scroll" tabindex="0" role="region" aria-label="Samples"><table>
      <thead><tr><th scope="col">Arrived</th><th scope="col">What was wrong</th><th scope="col">As it came</th></tr></thead>
      <tbody>${i.samples.map(a=>o`<tr><td>${h(a.arrived_at)}</td>
        <td class="wide">${a.received?o`expected ${a.expected}, received <strong>${a.received}</strong>`:a.error_message}</td><td class="wide"><${D} event=${a} /></td></tr>`)}</tbody>
    </table></div>`:l?null:o`<${v} />`}
  </section>`}export{Z as Page};
