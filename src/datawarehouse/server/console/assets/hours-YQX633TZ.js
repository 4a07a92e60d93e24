import{a as de}from"./chunk-YRAAQSZI.js";import{A as y,B as ue,C as z,E as ne,K as C,L as O,M as N,N as le,O as V,P as ie,Q as ce,R as pe,S as he,b as n,c as me,d as te,f as oe,g as j,l as ae,o as I,q as re,r as K,t as W,w as $e,y as H,z as se}from"./chunk-U2CISNFO.js";var x=36e5,M=24*x,X=30,q=18,U=5,ve=t=>.15+.85*t/U,Ee={o:"series-3",c:"series-1",k:"series-4",d:"bad"},Z={received:{label:"arrivals",colour:"series-1",values:t=>t.received},rejected:{label:"rejected events",colour:"bad",values:t=>t.rejected},state:{label:"open, complete, compacted",values:null}};function ge({hours:t,first:e,last:r,measure:o,chosen:a,onChoose:f}){let h=oe(),m=oe(),[l,b]=me(800),d=Math.floor(e/M)*M,s=Math.max(1,Math.ceil((r-d)/M)),i=Math.min((l-X)/s,72),c=i>=20?13:9,u=j(()=>new Map(t.start.map(($,w)=>[$,w])),[t]),{values:v,colour:S}=Z[o],F=j(()=>v?Te(v(t)):[],[t,o]),we=$=>$<=0?0:U-F.length+1+F.findIndex(w=>$<=w);te(()=>{let $=new ResizeObserver(()=>b(h.current.clientWidth));return $.observe(h.current),()=>$.disconnect()},[]),te(()=>{let{current:$}=m,w=devicePixelRatio||1,Y=q+24*c;$.width=l*w,$.height=Y*w,$.style.height=`${Y}px`;let p=$.getContext("2d");p.scale(w,w),p.font="11px Inter, system-ui, 'Liberation Sans', sans-serif";let[_,P,Me]=[H("quiet"),H("sunken"),S&&H(S)],Oe=Object.fromEntries(Object.entries(Ee).map(([g,A])=>[g,H(A)])),ke=i>6?1:i>3?.5:0;p.fillStyle=_;for(let g=0;g<24;g+=6)p.fillText(String(g).padStart(2,"0"),4,q+g*c+9);let fe=0;for(let g=0;g<s;g+=1){let A=new Date(d+g*M).toISOString().slice(0,10),E=X+g*i;if(E>=fe&&E<l-40&&(s<60||A.endsWith("-01"))){p.globalAlpha=1,p.fillStyle=_;let T=s<60?A.slice(5):A.slice(0,7);p.fillText(T,E,11),fe=E+p.measureText(T).width+10}for(let T=0;T<24;T+=1){let Q=d+g*M+T*x;if(Q<e||Q>=r)continue;let J=u.get(Q),ee=J===void 0?0:v?we(v(t)[J]):U;p.globalAlpha=ee?ve(ee):1,p.fillStyle=ee?Me??Oe[t.state[J]]:P,p.fillRect(E,q+T*c,Math.max(i-ke,.5),c-(c>9?1:.5))}}if(p.globalAlpha=1,a){let g=(C(a)-d)/x;if(g>=0&&g<s*24){let[A,E]=[X+Math.floor(g/24)*i,q+g%24*c];p.strokeStyle=H("text"),p.lineWidth=2,p.strokeRect(A-1,E-1,Math.max(i,3)+1,c+1)}}},[t,e,r,o,a,l,$e.value]);let D=Math.floor((r-1)/x)*x,L=Math.ceil(e/x)*x,R=a?C(a):D,ye=$=>{let{left:w,top:Y}=m.current.getBoundingClientRect(),p=Math.floor(($.clientX-w-X)/i),_=Math.floor(($.clientY-Y-q)/c),P=d+p*M+_*x;p>=0&&_>=0&&_<24&&P>=L&&P<=D&&f(O(P))},xe=$=>{let w={ArrowUp:-x,ArrowDown:x,ArrowLeft:-M,ArrowRight:M,PageUp:-7*M,PageDown:7*M,Home:L-R,End:D-R,Enter:0}[$.key];w!==void 0&&($.preventDefault(),f(O(Math.max(L,Math.min(D,R+w)))))},G=u.get(R),Se=`${N(O(R))} UTC: ${G===void 0?"nothing arrived":`${y(t.received[G])} received, ${y(t.rejected[G])} rejected`}`;return n`<div class="calendar" ref=${h} tabindex="0" role="slider" aria-label="Hour" aria-orientation="horizontal" aria-valuemin="0" aria-valuemax=${(D-L)/x}
      aria-valuenow=${(R-L)/x} aria-valuetext=${Se} onClick=${ye} onKeyDown=${xe}>
    <canvas ref=${m} aria-hidden="true"></canvas>
  </div>
  <p class="legend">${v?n`<span><i style=${{background:"var(--sunken)"}}></i>none</span>
      ${F.map(($,w)=>n`<span><i style=${{background:`var(--${S})`,opacity:ve(U-F.length+1+w)}}></i>to ${ue($)}</span>`)}`:n`<span><i style=${{background:"var(--series-3)"}}></i>open</span><span><i style=${{background:"var(--series-1)"}}></i>complete</span>
        <span><i style=${{background:"var(--series-4)"}}></i>compacted</span><span><i style=${{background:"var(--bad)"}}></i>damaged</span><span><i style=${{background:"var(--sunken)"}}></i>nothing arrived</span>`}</p>`}function Te(t){let e=t.filter(o=>o>0).sort((o,a)=>o-a),r=Array.from({length:U},(o,a)=>e[Math.ceil((a+1)*e.length/U)-1]);return e.length?[...new Set(r)]:[]}var k=36e5,B=24*k,je=15e3,be={2:"2 days",7:"7 days",31:"31 days",92:"3 months",366:"a year",1826:"5 years"},Ce=504,Re={o:"open: events still arrive",c:"complete: it no longer changes",k:"complete and compacted",d:"has a damaged file"};function Ge(){let{table:t,tables:e,error:r,isKnown:o,about:a}=pe(f=>f.kind==="streaming input table");return o?t?n`<${_e} table=${t} tables=${e} eventTime=${a?.event_time} key=${t} />`:n`<p class="empty">No table takes events here, so there are no hours to show.</p>`:r?n`<${V} error=${r} />`:n`<${ce} />`}function _e({table:t,tables:e,eventTime:r}){let{params:o}=re.value,a=Number(o.get("days"))in be?Number(o.get("days")):31,f=Math.floor(Date.now()/k)*k+k,h={from:O(f-a*B),to:O(f)},{value:m,error:l}=le(u=>ae(I(t,"/hours",h),{signal:u}),je,[t,h.from,h.to]),b=j(()=>m&&{...m,start:m.hour.map(C)},[m]),d=o.get("from")?Number(o.get("from")):null,s=d?[d,Number(o.get("to"))]:null,i=o.get("show")in Z?o.get("show"):"received",c=u=>W(u?{from:Math.floor(u[0]),to:Math.ceil(u[1])}:{from:"",to:""});return n`
    <${ie} title="Hours">
      <${he} table=${t} tables=${e} />
      <label>Range <select value=${a} onChange=${u=>W({days:u.target.value,from:"",to:""})}>
        ${Object.entries(be).map(([u,v])=>n`<option value=${u}>${v}</option>`)}</select></label>
      <span class="note">Hours of arrival, UTC.</span>
      <a class="button" href=${I(t,"/hours",{...h,format:"csv"})} download>CSV</a>
    </${ie}>
    <${V} error=${l} />
    ${b?n`<${He} table=${t} hours=${b} until=${f} days=${a} range=${s} zoom=${c} measure=${i} />`:l?null:n`<${ce} />`}
    ${r&&b?n`<${Le} table=${t} asked=${h} eventTime=${r} range=${s} zoom=${c} />`:null}`}function He({table:t,hours:e,until:r,days:o,range:a,zoom:f,measure:h}){let m=j(()=>Ne(e,r,o,a),[e,o,a?.join()]),[l,b]=a?[a[0]*1e3,a[1]*1e3]:[r-o*B,r],d=re.value.params.get("hour"),s=i=>i.reduce((c,u,v)=>e.start[v]>=l&&e.start[v]<b?c+u:c,0);return e.hour.length?n`
    <dl class="facts">
      <div><dt>Received</dt><dd>${y(s(e.received))}</dd></div>
      <div><dt>Stored</dt><dd>${y(s(e.stored))}</dd></div>
      <div><dt>Rejected</dt><dd class=${s(e.rejected)?"bad":""}>${y(s(e.rejected))}</dd></div>
      <div><dt>Files</dt><dd>${y(s(e.files))}</dd></div>
      <div><dt>On disk</dt><dd>${ne(s(e.bytes))}</dd></div>
      <div><dt>Complete until</dt><dd>${e.complete_until?N(e.complete_until):se}</dd></div>
    </dl>
    <section class="panel" aria-label="Over time">
      <h2>Events ${m.each===k?"an hour":"a day"}</h2>
      <${de} x=${m.x} series=${m.series} range=${a} onZoom=${f} tall=${200} label="Received and rejected events of ${t} over time, ${z(m.x.length,"bar")}" />
    </section>
    <section class="panel" aria-label="Calendar of hours">
      <div class="row"><h2 class="grow">Each hour</h2>
        <label>Show <select value=${h} onChange=${i=>W({show:i.target.value==="received"?"":i.target.value})}>
          ${Object.entries(Z).map(([i,{label:c}])=>n`<option value=${i}>${c}</option>`)}</select></label></div>
      <${ge} hours=${e} first=${l} last=${b} measure=${h} chosen=${d} onChoose=${i=>W({hour:i})} />
      ${d?n`<${Ue} table=${t} hours=${e} hour=${d} />`:n`<p class="note">Choose an hour with the mouse, or with the arrow keys, to see what it has.</p>`}
    </section>`:n`<p class="empty">Nothing arrived in ${t} in this range. Choose a longer one.</p>`}function Ne({start:t,received:e,rejected:r},o,a,f){let[h,m]=f?[f[0]*1e3,f[1]*1e3]:[o-a*B,o],l=(m-h)/k>Ce?B:k,b=Math.floor((o-a*B)/l)*l,d=Math.ceil((o-b)/l),[s,i]=[new Array(d).fill(0),new Array(d).fill(0)];return t.forEach((u,v)=>{let S=Math.floor((u-b)/l);S<0||S>=d||(s[S]+=e[v],i[S]+=r[v])}),{x:Array.from({length:d},(u,v)=>(b+v*l)/1e3),each:l,series:[{label:"received",values:s,isBars:!0,colour:"series-1"},{label:"rejected",values:i,isBars:!0,colour:"bad"}]}}function Ue({table:t,hours:e,hour:r}){let o=e.hour.indexOf(r);if(o<0)return n`<p class="note" role="status">${N(r)}: nothing arrived.</p>`;let a=O(C(r)+k),f=`select *
from ${t}
where inserted_at = '${r}'
limit 100`;return n`<div class="row" role="status">
      <strong>${N(r)}</strong><span class="note">${Re[e.state[o]]}</span>
      <span>${y(e.received[o])} received, ${y(e.stored[o])} stored, <span class=${e.rejected[o]?"bad":""}>${y(e.rejected[o])} rejected</span>;
        ${z(e.rows[o],"row")} in ${z(e.files[o],"file")}, ${ne(e.bytes[o])}</span>
    </div>
    <div class="row"><a class="button" href=${K("sql",{sql:f})}>Ask for its rows</a>
      <a class="button" href=${K("table",{table:t,view:"files",hour:r})}>Its files</a>
      ${e.rejected[o]?n`<a class="button" href=${K("quarantine",{table:t,from:r,to:a})}>Its rejected events</a>`:null}</div>`}var De={p50:"half",p99:"99 %",maximum:"the latest"};function Le({table:t,asked:e,eventTime:r,range:o,zoom:a}){let{value:f,error:h}=le(s=>ae(I(t,"/lateness",e),{signal:s}),0,[t,e.from,e.to]),m=j(()=>{let s=(f?.hours??[]).filter(c=>c.events),i=Object.entries(De).map(([c,u],v)=>({label:u,values:s.map(S=>S[c]),colour:`series-${v+1}`}));return{x:s.map(c=>C(c.hour)/1e3),series:i}},[f]);if(!f)return h?n`<${V} error=${h} />`:null;let{all:l,unit:b}=f,d=s=>s==null?se:`${y(s)} ${s===1?b.replace(/s$/,""):b}`;return n`<section class="panel" aria-label="Lateness"><h2>Lateness</h2>
    <p class="note">From when an event happened, as <code>${r}</code> says, to when it arrived.</p>
    <dl class="facts">
      <div><dt>Events</dt><dd>${y(l.events)}</dd></div>
      <div><dt>Half at most</dt><dd>${d(l.p50)}</dd></div>
      <div><dt>99 % at most</dt><dd>${d(l.p99)}</dd></div>
      <div><dt>99.9 % at most</dt><dd>${d(l["p99.9"])}</dd></div>
      <div><dt>The latest</dt><dd>${d(l.maximum)}</dd></div>
      <div><dt>Without event time</dt><dd>${y(l.without)}</dd></div>
    </dl>
    ${m.x.length>1?n`<p class="note">Hours late, of the events of each hour of arrival.</p>
      <${de} x=${m.x} series=${m.series} range=${o} onZoom=${a} tall=${150} label="Lateness of ${t} by hour of arrival, ${z(m.x.length,"hour")}" />`:null}
    <div class="row"><a class="button" href=${I(t,"/lateness",{...e,format:"csv"})} download>CSV</a></div></section>`}export{Ge as Page};
