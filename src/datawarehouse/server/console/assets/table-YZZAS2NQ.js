import{a as G}from"./chunk-MJARFDAX.js";import{a as v,c as z}from"./chunk-JD4BBAJL.js";import{A as c,C as b,E as C,G as R,I as L,J as O,M as w,N as _,O as m,P,Q as y,R as q,S as M,U as W,b as o,c as k,d as F,l as h,o as f,q as x,r as S,t as A,z as E}from"./chunk-U2CISNFO.js";var B=200,Q=500,V=3e3,X=20,H=(e,t)=>new Promise(s=>{let r=setTimeout(s,e);t.addEventListener("abort",()=>(clearTimeout(r),s()))});function K({table:e}){let[t,s]=k(!1),[r,l]=k("all"),[i,a]=k({events:[],received:0,rejected:0,last:null,error:null});F(()=>{if(t)return;let n=new AbortController,{signal:$}=n;return(async()=>{let u;for(;!$.aborted;)try{let p=await h(f(e,"/tail",{after:u,wait_s:u?X:"",limit:50}),{signal:$}),g=u===void 0;u=p.cursor,a(j=>({events:p.events.toReversed().concat(j.events).slice(0,B),received:j.received+(g?0:p.received),rejected:j.rejected+(g?0:p.rejected),last:p,error:null})),await H(Q,$)}catch(p){if($.aborted)return;a(g=>({...g,error:p})),await H(V,$)}})(),()=>n.abort()},[e,t]);let d=i.events.filter(n=>r==="all"||n.ok===(r==="good"));return o`
    <div class="row">
      <button type="button" aria-pressed=${String(t)} onClick=${()=>s(!t)}>${t?"Go on":"Pause"}</button>
      <label>Show <select value=${r} onChange=${n=>l(n.target.value)}><option value="all">all events</option><option value="good">good ones</option><option value="bad">bad ones</option></select></label>
      <span class="note">${b(i.received,"event")} since this was opened, ${i.rejected?o`<span class="bad">${c(i.rejected)} bad</span>`:"none bad"}.
        ${i.last?.sampled?` Showing ${c(i.last.shown)} of the last ${c(i.last.received)}.`:""}</span>
    </div>
    <${m} error=${i.error} />
    ${d.length?o`<div class="scroll" tabindex="0" role="region" aria-label="Events, newest first"><table>
      <thead><tr><th scope="col">Arrived</th><th scope="col">Event</th></tr></thead>
      <tbody>${d.map(n=>o`<tr key=${`${n.number}`}><td class="stamp">${O(n.arrived_at)} ${n.ok?o`<span class="tag good">good</span>`:o`<span class="tag bad">bad</span>`}</td>
        <td class="wide"><${G} event=${{...n,start:n.reason?.start,end:n.reason?.end}} />${n.reason?o`<div class="bad">${n.reason.column?`${n.reason.column}: `:""}${n.reason.message}</div>`:null}</td></tr>`)}</tbody>
    </table></div>`:o`<p class="empty">${t?"Paused.":`Waiting for events${r==="all"?"":` that are ${r}`}. “Send and ask” has commands that send some.`}</p>`}`}var Y={string:"text",varchar:"text",char:"t",boolean:!0,tinyint:1,smallint:1,int:1,integer:1,bigint:1,float:1.5,double:1.5,real:1.5,decimal:1.5,timestamp:"2026-11-30T08:00:00Z",date:"2026-11-30",binary:"aGVsbG8="};function Z(e){let t=/^\w+/.exec(e)?.[0]??"";return t==="array"?[]:t==="map"||t==="struct"?{}:Y[t]??null}function U({table:e,columns:t,newest_hour:s,partition_keys:r},l,i){let a=Object.fromEntries(t.slice(0,6).map(({name:u,type:p})=>[u,Z(p)])),d=JSON.stringify(a),n=`select count(*) as events from ${e}${s&&r.length?` where inserted_at >= '${s}'`:""}`,$=JSON.stringify(a).replaceAll(":true",":True").replaceAll(":null",":None").replaceAll('":','": ').replaceAll(',"',', "'),T=[{title:"Ask with curl",text:`curl -s ${i}/v1/query -H 'Content-Type: application/json' \\
  -d '${JSON.stringify({sql:n,format:"json"}).replaceAll("'","'\\''")}'`},{title:"Ask with Python",text:`from datawarehouse import connect

with connect("${i}") as warehouse:
    for row in warehouse.rows("${n}"):
        print(row)  # .query(...).df() is a data frame of pandas`},{title:"SQL",text:`${n.replace(" from",`
from`).replace(" where",`
where`)}`}];return l?[{title:"Send with curl",text:`curl -s ${i}/v1/tables/${e}/events \\
  -H 'Content-Type: application/x-ndjson' \\
  --data-binary '${d.replaceAll("'","'\\''")}'`},{title:"Send with boto3",text:`import json
import boto3

kinesis = boto3.client("kinesis", endpoint_url="${i}", region_name="us-east-1",
                       aws_access_key_id="any", aws_secret_access_key="any")
event = ${$}
kinesis.put_record(StreamName="${e}", Data=json.dumps(event).encode(), PartitionKey="1")`},{title:"Send with Python",text:`from datawarehouse import connect

with connect("${i}") as warehouse:
    warehouse.put("${e}", [${$}])`},{title:"Send with Python alone",text:`import json
from urllib.request import Request, urlopen

events = [${$}]
body = "\\n".join(map(json.dumps, events)).encode()
headers = {"Content-Type": "application/x-ndjson"}
print(urlopen(Request("${i}/v1/tables/${e}/events", body, headers)).read().decode())`},...T]:T}var D=5e3,tt="streaming input table";function St(){let{table:e,tables:t,error:s,isKnown:r}=q();return r?e?o`<${et} table=${e} tables=${t} key=${e} />`:o`<p class="empty">No table is declared that you may see.</p>`:s?o`<${m} error=${s} />`:o`<${y} />`}function et({table:e,tables:t}){let{value:s,error:r}=_(n=>h(f(e,""),{signal:n}),D,[e]),l=s?.kind===tt,i={columns:"Columns",rows:"Rows",files:"Files",...l?{tail:"Live tail"}:{},use:"Send and ask"},a=x.value.params.get("view"),d=a in i?a:"columns";return o`
    <${P} title=${e}><${M} table=${e} tables=${t} /><span class="note">${s?.kind??""}${s?.event_time?o`, event time in <code>${s.event_time}</code>`:""}</span></${P}>
    <${m} error=${r} />
    ${s?o`
      <${ot} table=${e} value=${s} isStream=${l} />
      <div class="tabs" role="tablist" aria-label="About ${e}">${Object.entries(i).map(([n,$])=>o`<button type="button" role="tab" aria-selected=${String(n===d)} onClick=${()=>A({view:n==="columns"?"":n})}>${$}</button>`)}</div>
      ${d==="columns"?o`<${st} table=${e} value=${s} />`:null}
      ${d==="rows"?o`<${rt} table=${e} value=${s} />`:null}
      ${d==="files"?o`<${at} table=${e} />`:null}
      ${d==="tail"?o`<${K} table=${e} key=${e} />`:null}
      ${d==="use"?o`<${lt} value=${s} isStream=${l} />`:null}`:r?null:o`<${y} />`}`}function ot({table:e,value:t,isStream:s}){let r=Object.entries(t.unknown_keys??{});return o`<dl class="facts">
      ${s?o`<div><dt>Received</dt><dd>${c(t.received)}</dd></div><div><dt>Stored</dt><dd>${c(t.stored)}</dd></div>
        <div><dt>Rejected</dt><dd>${t.rejected?o`<a class="bad" href=${S("quarantine",{table:e})}>${c(t.rejected)}</a>`:"0"}</dd></div>`:null}
      <div><dt>Rows</dt><dd>${c(t.rows)}</dd></div>
      <div><dt>Files</dt><dd>${c(t.files)}</dd></div>
      <div><dt>On disk</dt><dd>${C(t.bytes)}</dd></div>
      ${t.first_hour?o`<div><dt>Hours</dt><dd><a href=${S("hours",{table:e})}>${w(t.first_hour)} to ${w(t.newest_hour)}</a></dd></div>`:null}
    </dl>
    ${r.length?o`<p class="warn">Events have keys that no column has: ${r.map(([l,i])=>`${l} (${c(i)})`).join(", ")}. Declare them as columns to keep them.</p>`:null}`}var I=e=>_(t=>h(f(e,"/profile",{rows:2e3}),{signal:t}),0,[e]);function st({table:e,value:t}){let{value:s,error:r}=I(e),l=Object.fromEntries((s?.columns??[]).map(a=>[a.name,a])),i=[...t.columns,...t.partition_keys.map(a=>({...a,isKey:!0}))];return o`
    <p class="note" role="status">${s?`NULLs, range and values of ${s.rows<t.rows?"the newest ":"all "}${b(s.rows,"row")}${s.hours?.length?`, ${w(s.hours[0])} to ${w(s.hours.at(-1))}`:""}.`:r?"":"Reading a sample…"}</p>
    <${m} error=${r} />
    <div class="scroll" tabindex="0" role="region" aria-label="Columns"><table>
      <thead><tr><th scope="col">Column</th><th scope="col">Type</th><th scope="col" class="n">NULL</th><th scope="col" class="n">Distinct</th><th scope="col">Least</th><th scope="col">Greatest</th><th scope="col">Most frequent</th></tr></thead>
      <tbody>${i.map(a=>o`<${nt} key=${a.name} column=${a} profile=${l[a.name]} rows=${s?.rows} />`)}</tbody>
    </table></div>`}function nt({column:e,profile:t,rows:s}){let r=a=>a==null?o`<span class="zero">${E}</span>`:o`<code title=${v(a)}>${N(v(a),28)}</code>`,l=0,i=(t?.top??[]).slice(0,3).filter((a,d)=>(l+=Math.min(v(a.value).length,24))<=34||!d);return o`<tr><th scope="row">${e.name}${e.isKey?o` <span class="tag">partition</span>`:""}</th><td class="mono" title=${e.type}>${N(e.type,40)}</td>
    <td class="n ${t?.nulls?"":"zero"}">${t?s?R(t.nulls,s):E:""}</td><td class="n">${t?c(t.distinct):""}</td>
    <td>${t?r(t.least):""}</td><td>${t?r(t.greatest):""}</td>
    <td>${i[0]?.count===1&&s>1?o`<span class="note">each once</span>`:i.map((a,d)=>o`${d?", ":""}<code title=${v(a.value)}>${N(v(a.value),24)}</code> <span class="note">${R(a.count,s)}</span>`)}</td></tr>`}var N=(e,t)=>e.length>t?`${e.slice(0,t-1)}…`:e;function rt({table:e,value:t}){let{value:s,error:r}=I(e);if(!s)return r?o`<${m} error=${r} />`:o`<${y} />`;if(!s.sample.length)return o`<p class="empty">There are no rows yet.</p>`;let l=[...t.columns,...t.partition_keys],i=l.map(n=>n.name),a=s.sample.map(n=>i.map($=>n[$]??null)),d={columns:i,types:l.map(n=>n.type),total:a.length,row:n=>a[n],want:()=>{}};return o`<p class="note">${b(a.length,"row")} of the newest hours. <a href=${S("sql",{sql:`select *
from ${e}${s.hours?.length&&t.partition_keys.length?`
where inserted_at = '${s.hours.at(-1)}'`:""}
limit 1000`})}>Ask for more in SQL</a></p>
    <${z} blocks=${d} version=${0} label="Newest rows of ${e}" />`}function at({table:e}){let t=x.value.params.get("hour")??"",{value:s,error:r}=_(l=>h(f(e,"/files",{hour:t,limit:200}),{signal:l}),D,[e,t]);return o`
    <div class="row"><span class="note">${t?`Files of ${w(t)}`:"The newest files"}${s?.more?`; ${c(s.more)} more are not shown`:""}.</span>
      ${t?o`<button type="button" onClick=${()=>A({hour:""})}>Show the newest of all hours</button>`:null}</div>
    <${m} error=${r} />
    ${s?s.files.length?o`
    <div class="scroll" tabindex="0" role="region" aria-label="Files"><table>
      <thead><tr><th scope="col">File</th><th scope="col">Has</th><th scope="col" class="n">Rows</th><th scope="col" class="n">Size</th><th scope="col">Made</th><th scope="col">State</th></tr></thead>
      <tbody>${s.files.map(l=>o`<tr key=${l.path}><td class="mono">${l.path}</td><td>${l.kind}</td><td class="n">${c(l.rows)}</td><td class="n">${C(l.bytes)}</td>
        <td>${L(l.created_at)}</td><td>${l.damage?o`<span class="tag bad">damaged: ${l.damage}</span>`:l.compacted?o`<span class="tag good">compacted</span>`:o`<span class="zero">as it arrived</span>`}</td></tr>`)}</tbody>
    </table></div>`:o`<p class="empty">There are no files${t?" of this hour":" yet"}.</p>`:r?null:o`<${y} />`}`}function lt({value:e,isStream:t}){return o`<div class="two">${U(e,t,location.origin).map(({title:s,text:r})=>o`<section aria-label=${s}>
    <div class="row"><h2 class="grow">${s}</h2><${W} text=${r} label="Copy" /></div><pre class="fold" tabindex="0">${r}</pre></section>`)}</div>
    <p class="note">Where keys are needed, send one as <code>Authorization: Bearer ID.SECRET</code>, or as AWS credentials.</p>`}export{St as Page};
