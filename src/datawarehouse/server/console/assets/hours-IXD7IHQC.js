import{a as ht}from"./chunk-TALDDWL3.js";import{A as w,B as $t,C as Y,E as st,K as N,L as k,M as D,N as nt,O as K,P as it,Q as lt,R as pt,S as ut,b as s,c as ft,d as tt,f as et,g as _,l as ot,o as F,q as at,r as I,t as W,w as mt,y as H,z as rt}from"./chunk-EAEXRQBQ.js";var x=36e5,M=24*x,V=30,q=18,j=5,Tt={o:"series-3",c:"series-1",k:"series-4",d:"bad"},X={received:{label:"arrivals",colour:"series-1",values:e=>e.received},rejected:{label:"rejected events",colour:"bad",values:e=>e.rejected},state:{label:"open, complete, compacted",values:null}};function vt({hours:e,first:t,last:a,measure:o,chosen:r,onChoose:i}){let m=et(),d=et(),[n,y]=ft(800),$=Math.floor(t/M)*M,p=Math.max(1,Math.ceil((a-$)/M)),l=Math.min((n-V)/p,44),v=l>=20?13:9,u=_(()=>new Map(e.start.map((c,b)=>[c,b])),[e]),{values:g,colour:S}=X[o],ct=_(()=>g?g(e).reduce((c,b)=>Math.max(c,b),0):0,[e,o]),gt=c=>c<=0?0:Math.min(j,Math.max(1,Math.ceil(Math.sqrt(c/Math.max(ct,1))*j)));tt(()=>{let c=new ResizeObserver(()=>y(m.current.clientWidth));return c.observe(m.current),()=>c.disconnect()},[]),tt(()=>{let{current:c}=d,b=devicePixelRatio||1,B=q+24*v;c.width=n*b,c.height=B*b,c.style.height=`${B}px`;let f=c.getContext("2d");f.scale(b,b),f.font="11px Inter, system-ui, 'Liberation Sans', sans-serif";let[C,P,Mt]=[H("quiet"),H("sunken"),S&&H(S)],St=Object.fromEntries(Object.entries(Tt).map(([h,T])=>[h,H(T)])),kt=l>6?1:l>3?.5:0;f.fillStyle=C;for(let h=0;h<24;h+=6)f.fillText(String(h).padStart(2,"0"),4,q+h*v+9);let dt=0;for(let h=0;h<p;h+=1){let T=new Date($+h*M).toISOString().slice(0,10),A=V+h*l;if(A>=dt&&A<n-40&&(p<60||T.endsWith("-01"))){f.globalAlpha=1,f.fillStyle=C;let E=p<60?T.slice(5):T.slice(0,7);f.fillText(E,A,11),dt=A+f.measureText(E).width+10}for(let E=0;E<24;E+=1){let Z=$+h*M+E*x;if(Z<t||Z>=a)continue;let J=u.get(Z),Q=J===void 0?0:g?gt(g(e)[J]):j;f.globalAlpha=Q?.2+.8*Q/j:1,f.fillStyle=Q?Mt??St[e.state[J]]:P,f.fillRect(A,q+E*v,Math.max(l-kt,.5),v-(v>9?1:.5))}}if(f.globalAlpha=1,r){let h=(N(r)-$)/x;if(h>=0&&h<p*24){let[T,A]=[V+Math.floor(h/24)*l,q+h%24*v];f.strokeStyle=H("text"),f.lineWidth=2,f.strokeRect(T-1,A-1,Math.max(l,3)+1,v+1)}}},[e,t,a,o,r,n,mt.value]);let U=Math.floor((a-1)/x)*x,L=Math.ceil(t/x)*x,R=r?N(r):U,wt=c=>{let{left:b,top:B}=d.current.getBoundingClientRect(),f=Math.floor((c.clientX-b-V)/l),C=Math.floor((c.clientY-B-q)/v),P=$+f*M+C*x;f>=0&&C>=0&&C<24&&P>=L&&P<=U&&i(k(P))},yt=c=>{let b={ArrowUp:-x,ArrowDown:x,ArrowLeft:-M,ArrowRight:M,PageUp:-7*M,PageDown:7*M,Home:L-R,End:U-R,Enter:0}[c.key];b!==void 0&&(c.preventDefault(),i(k(Math.max(L,Math.min(U,R+b)))))},G=u.get(R),xt=`${D(k(R))} UTC: ${G===void 0?"nothing arrived":`${w(e.received[G])} received, ${w(e.rejected[G])} rejected`}`;return s`<div class="calendar" ref=${m} tabindex="0" role="slider" aria-label="Hour" aria-orientation="horizontal" aria-valuemin="0" aria-valuemax=${(U-L)/x}
      aria-valuenow=${(R-L)/x} aria-valuetext=${xt} onClick=${wt} onKeyDown=${yt}>
    <canvas ref=${d} aria-hidden="true"></canvas>
  </div>
  <p class="legend">${g?s`<span><i style=${{background:"var(--sunken)"}}></i>none</span>
      ${Array.from({length:j},(c,b)=>s`<span><i style=${{background:`var(--${S})`,opacity:.2+.8*(b+1)/j}}></i>${At(b+1,ct)}</span>`)}`:s`<span><i style=${{background:"var(--series-3)"}}></i>open</span><span><i style=${{background:"var(--series-1)"}}></i>complete</span>
        <span><i style=${{background:"var(--series-4)"}}></i>compacted</span><span><i style=${{background:"var(--bad)"}}></i>damaged</span><span><i style=${{background:"var(--sunken)"}}></i>nothing arrived</span>`}</p>`}var At=(e,t)=>`to ${$t(Math.floor(Math.max(t,1)*(e/j)**2))}`;var O=36e5,z=24*O,Et=15e3,bt={2:"2 days",7:"7 days",31:"31 days",92:"3 months",366:"a year",1826:"5 years"},jt=504,Rt={o:"open: events still arrive",c:"complete: it no longer changes",k:"complete and compacted",d:"has a damaged file"};function Xt(){let{table:e,tables:t,error:a,isKnown:o,about:r}=pt(i=>i.kind==="streaming input table");return o?e?s`<${Ct} table=${e} tables=${t} eventTime=${r?.event_time} key=${e} />`:s`<p class="empty">No table takes events here, so there are no hours to show.</p>`:a?s`<${K} error=${a} />`:s`<${lt} />`}function Ct({table:e,tables:t,eventTime:a}){let{params:o}=at.value,r=Number(o.get("days"))in bt?Number(o.get("days")):31,i=Math.floor(Date.now()/O)*O+O,m={from:k(i-r*z),to:k(i)},{value:d,error:n}=nt(u=>ot(F(e,"/hours",m),{signal:u}),Et,[e,m.from,m.to]),y=_(()=>d&&{...d,start:d.hour.map(N)},[d]),$=o.get("from")?Number(o.get("from")):null,p=$?[$,Number(o.get("to"))]:null,l=o.get("show")in X?o.get("show"):"received",v=u=>W(u?{from:Math.floor(u[0]),to:Math.ceil(u[1])}:{from:"",to:""});return s`
    <${it} title="Hours">
      <${ut} table=${e} tables=${t} />
      <label>Range <select value=${r} onChange=${u=>W({days:u.target.value,from:"",to:""})}>
        ${Object.entries(bt).map(([u,g])=>s`<option value=${u}>${g}</option>`)}</select></label>
      <span class="note">Hours of arrival, UTC.</span>
      <a class="button" href=${F(e,"/hours",{...m,format:"csv"})} download>CSV</a>
    </${it}>
    <${K} error=${n} />
    ${y?s`<${_t} table=${e} hours=${y} until=${i} days=${r} range=${p} zoom=${v} measure=${l} />`:n?null:s`<${lt} />`}
    ${a&&y?s`<${Dt} table=${e} asked=${m} eventTime=${a} />`:null}`}function _t({table:e,hours:t,until:a,days:o,range:r,zoom:i,measure:m}){let d=_(()=>Ht(t,a,o,r),[t,o,r?.join()]),[n,y]=r?[r[0]*1e3,r[1]*1e3]:[a-o*z,a],$=at.value.params.get("hour"),p=l=>l.reduce((v,u,g)=>t.start[g]>=n&&t.start[g]<y?v+u:v,0);return t.hour.length?s`
    <dl class="facts">
      <div><dt>Received</dt><dd>${w(p(t.received))}</dd></div>
      <div><dt>Stored</dt><dd>${w(p(t.stored))}</dd></div>
      <div><dt>Rejected</dt><dd class=${p(t.rejected)?"bad":""}>${w(p(t.rejected))}</dd></div>
      <div><dt>Files</dt><dd>${w(p(t.files))}</dd></div>
      <div><dt>On disk</dt><dd>${st(p(t.bytes))}</dd></div>
      <div><dt>Complete until</dt><dd>${t.complete_until?D(t.complete_until):rt}</dd></div>
    </dl>
    <section class="panel" aria-label="Over time">
      <h2>Events ${d.each===O?"an hour":"a day"}</h2>
      <${ht} x=${d.x} series=${d.series} range=${r} onZoom=${i} tall=${200} label="Received and rejected events of ${e} over time, ${Y(d.x.length,"bar")}" />
    </section>
    <section class="panel" aria-label="Calendar of hours">
      <div class="row"><h2 class="grow">Each hour</h2>
        <label>Show <select value=${m} onChange=${l=>W({show:l.target.value==="received"?"":l.target.value})}>
          ${Object.entries(X).map(([l,{label:v}])=>s`<option value=${l}>${v}</option>`)}</select></label></div>
      <${vt} hours=${t} first=${n} last=${y} measure=${m} chosen=${$} onChoose=${l=>W({hour:l})} />
      ${$?s`<${Nt} table=${e} hours=${t} hour=${$} />`:s`<p class="note">Choose an hour with the mouse, or with the arrow keys, to see what it has.</p>`}
    </section>`:s`<p class="empty">Nothing arrived in ${e} in this range. Choose a longer one.</p>`}function Ht({start:e,received:t,rejected:a},o,r,i){let[m,d]=i?[i[0]*1e3,i[1]*1e3]:[o-r*z,o],n=(d-m)/O>jt?z:O,y=Math.floor((o-r*z)/n)*n,$=Math.ceil((o-y)/n),[p,l]=[new Array($).fill(0),new Array($).fill(0)];return e.forEach((u,g)=>{let S=Math.floor((u-y)/n);S<0||S>=$||(p[S]+=t[g],l[S]+=a[g])}),{x:Array.from({length:$},(u,g)=>(y+g*n)/1e3),each:n,series:[{label:"received",values:p,isBars:!0,colour:"series-1"},{label:"rejected",values:l,isBars:!0,colour:"bad"}]}}function Nt({table:e,hours:t,hour:a}){let o=t.hour.indexOf(a);if(o<0)return s`<p class="note" role="status">${D(a)}: nothing arrived.</p>`;let r=k(N(a)+O),i=`select *
from ${e}
where inserted_at = '${a}'
limit 100`;return s`<div class="row" role="status">
      <strong>${D(a)}</strong><span class="note">${Rt[t.state[o]]}</span>
      <span>${w(t.received[o])} received, ${w(t.stored[o])} stored, <span class=${t.rejected[o]?"bad":""}>${w(t.rejected[o])} rejected</span>;
        ${Y(t.rows[o],"row")} in ${Y(t.files[o],"file")}, ${st(t.bytes[o])}</span>
    </div>
    <div class="row"><a class="button" href=${I("sql",{sql:i})}>Ask for its rows</a>
      <a class="button" href=${I("table",{table:e,view:"files",hour:a})}>Its files</a>
      ${t.rejected[o]?s`<a class="button" href=${I("quarantine",{table:e,from:a,to:r})}>Its rejected events</a>`:null}</div>`}function Dt({table:e,asked:t,eventTime:a}){let{value:o,error:r}=nt(n=>ot(F(e,"/lateness",t),{signal:n}),0,[e,t.from,t.to]);if(!o)return r?s`<${K} error=${r} />`:null;let{all:i,unit:m}=o,d=n=>n==null?rt:`${w(n)} ${n===1?m.replace(/s$/,""):m}`;return s`<section class="panel" aria-label="Lateness"><h2>Lateness</h2>
    <p class="note">From when an event happened, as <code>${a}</code> says, to when it arrived.</p>
    <dl class="facts">
      <div><dt>Events</dt><dd>${w(i.events)}</dd></div>
      <div><dt>Half at most</dt><dd>${d(i.p50)}</dd></div>
      <div><dt>99 % at most</dt><dd>${d(i.p99)}</dd></div>
      <div><dt>99.9 % at most</dt><dd>${d(i["p99.9"])}</dd></div>
      <div><dt>The latest</dt><dd>${d(i.maximum)}</dd></div>
      <div><dt>Without event time</dt><dd>${w(i.without)}</dd></div>
    </dl></section>`}export{Xt as Page};
