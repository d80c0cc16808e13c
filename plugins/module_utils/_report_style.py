# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a report looks: on a screen, on a phone, in the dark, on paper. Private to this collection."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--ink:#1d2126;--soft:#5c6570;--line:#e3e5e8;--paper:#fff;--ground:#f6f6f4;--mark:#2d5f8b;--wash:#2d5f8b14;
--critical:#b3261e;--warning:#8f5b00;--unknown:#6b4e9b;--ok:#1d7440}
@media(prefers-color-scheme:dark){:root{--ink:#e4e7eb;--soft:#9aa4af;--line:#31363d;--paper:#1b1f24;--ground:#14171b;--mark:#7fb2e0;
--wash:#7fb2e01c;--critical:#ff8a80;--warning:#e8b04b;--unknown:#c3a6f0;--ok:#6fcf97}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;
font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
main,header,footer{max-width:70rem;margin:0 auto;padding:0 1.5rem}
header{padding-top:3.5rem}
header p.over{margin:0;color:var(--soft);letter-spacing:.02em}
h1{font-size:2.1rem;line-height:1.2;font-weight:650;letter-spacing:-.015em;margin:.15rem 0 .8rem}
.lead{font-size:1.2rem;line-height:1.5;max-width:46rem;margin:0 0 1.8rem}
h2{font-size:1.3rem;font-weight:650;letter-spacing:-.01em;margin:3.4rem 0 .3rem}
h3{font-size:1rem;font-weight:650;margin:2rem 0 .6rem}
h3 small{font-weight:400;color:var(--soft);font-size:.9rem}
.note{color:var(--soft);margin:.1rem 0 1rem;max-width:46rem;font-size:.94rem}
a{color:var(--mark)}
dl.tiles{display:grid;grid-template-columns:repeat(6,minmax(0,1fr));gap:1px;margin:0;background:var(--line);
border:1px solid var(--line);border-radius:10px;overflow:hidden}
dl.tiles div{background:var(--paper);padding:.9rem 1.1rem;display:flex;flex-direction:column-reverse}
dl.tiles dt{color:var(--soft);font-size:.88rem}
dl.tiles dd{margin:0;font-size:1.65rem;line-height:1.25;font-weight:600}
nav{margin:1.4rem 0 0;display:flex;flex-wrap:wrap;gap:.3rem 1.3rem;font-size:.94rem}
nav a{text-decoration:none}nav a:hover{text-decoration:underline}
.s{font-weight:600;font-size:.9rem}td:first-child .s,.cards .s{white-space:nowrap}.s i{font-style:normal;display:inline-block;width:1.2em}
.critical{color:var(--critical)}.warning{color:var(--warning)}.unknown{color:var(--unknown)}.ok{color:var(--ok)}
ul.cards{list-style:none;margin:1rem 0 0;padding:0;display:grid;grid-template-columns:minmax(0,1fr);gap:.7rem}
ul.cards li{background:var(--paper);border:1px solid var(--line);border-left:4px solid currentColor;border-radius:8px;padding:.85rem 1.1rem;
display:grid;grid-template-columns:7.2rem minmax(0,1fr);gap:0 1rem}
ul.cards li>div{color:var(--ink)}ul.cards b{font-weight:600}
.dim{color:var(--soft)}.do{margin-top:.15rem;font-size:.95rem}.do:before{content:"→\\a0";color:var(--soft)}
h2+.panel,h2+.charts{margin-top:1rem}
.panel{background:var(--paper);border:1px solid var(--line);border-radius:10px;overflow:hidden}
table{border-collapse:collapse;width:100%;font-size:.94rem}
th,td{text-align:left;vertical-align:top;padding:.6rem 1rem;border-top:1px solid var(--line)}
thead th{border-top:0;color:var(--soft);font-weight:500;font-size:.86rem;padding-bottom:.45rem;white-space:nowrap}
tbody th{font-weight:600;min-width:12rem}tbody th small,td small{display:block;font-weight:400;color:var(--soft);font-size:.88rem}
.r{text-align:right;white-space:nowrap}
.w{white-space:nowrap}
table.found{table-layout:fixed}table.found th:first-child{width:8rem;min-width:0}table.found th:nth-child(2){width:27%}
table.found th:nth-child(4){width:12.5rem}
table.plan{table-layout:fixed}table.plan th:first-child{width:34%}table.plan th:nth-child(2){width:32%}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(19rem,1fr));gap:1rem;margin-top:1rem}
figure{margin:0;background:var(--paper);border:1px solid var(--line);border-radius:10px;padding:.9rem 1rem .7rem}
figcaption{display:flex;justify-content:space-between;gap:1rem;align-items:flex-end;margin-bottom:.5rem}
figcaption span{font-weight:600;line-height:1.3}figcaption small{display:block;font-weight:400;color:var(--soft);font-size:.85rem}
figcaption b{font-weight:600;white-space:nowrap}
figure{display:flex;flex-direction:column}figure>svg{margin-top:auto}
figure p{margin:.3rem 0 0;font-size:.88rem;color:var(--soft)}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font-size:10.5px;fill:var(--soft)}
svg .g{stroke:var(--line);fill:none}svg .l{stroke:var(--mark);stroke-width:1.8;fill:none;stroke-linejoin:round;stroke-linecap:round}
svg .a{fill:var(--wash)}svg .d{fill:var(--mark)}svg .m{stroke:var(--critical);stroke-dasharray:5 3;fill:none}svg .ml{fill:var(--critical);
paint-order:stroke;stroke:var(--paper);stroke-width:3px}
svg .f{stroke:var(--mark);stroke-width:1.8;stroke-dasharray:2 4;fill:none;stroke-linecap:round}svg .n{stroke:var(--soft);stroke-dasharray:1 3;fill:none}
svg.defs{position:absolute;width:0;height:0}
svg.strip{margin-top:.4em}.o{fill:none;stroke:currentColor;stroke-width:1.5}
use{fill:currentColor}.ran{color:var(--ok)}.warned{color:var(--warning)}.late{color:var(--mark)}.failed,.missed{color:var(--critical)}
.pending,.none{color:var(--soft)}
.key{display:flex;flex-wrap:wrap;gap:.2rem 1.3rem;margin:.9rem 0 0;padding:0;list-style:none;font-size:.88rem;color:var(--soft)}
.key svg{display:inline-block;width:.8em;height:.8em;margin-right:.4em;vertical-align:-.05em}
svg.bar{width:8.5rem;display:inline-block;vertical-align:-.1em;margin-right:.5rem}.bar .t{fill:none;stroke:var(--soft)}.bar .u{fill:var(--mark)}
.bar .over{fill:var(--critical)}
svg.spark{width:6rem;height:1.4rem}
details{margin-top:.5rem;font-size:.88rem}summary{cursor:pointer;color:var(--soft)}
details table{font-size:.88rem;margin-top:.4rem}details td{padding:.15rem .4rem}
details.more{margin-top:1rem;font-size:1rem}details.more table{font-size:.92rem}details.more td,details.more th{padding:.45rem 1rem}
.scroll{max-height:15rem;overflow:auto}
footer{color:var(--soft);font-size:.88rem;padding-top:3rem;padding-bottom:4rem}
@media(max-width:44rem){
main,header,footer{padding-left:1rem;padding-right:1rem}header{padding-top:1.8rem}h1{font-size:1.65rem}.lead{font-size:1.08rem}h2{margin-top:2.6rem}
dl.tiles{grid-template-columns:repeat(3,1fr)}dl.tiles div{padding:.7rem .8rem}dl.tiles dd{font-size:1.35rem}
ul.cards li{grid-template-columns:minmax(0,1fr)}
.panel table,.panel tbody,.panel tr,.panel td,.panel tbody th{display:block}
.panel thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
.panel tr{border-top:1px solid var(--line);padding:.7rem 1rem}.panel tbody tr:first-child{border-top:0}
.panel td,.panel table tbody th{border:0;padding:.08rem 0;text-align:left;white-space:normal;width:auto!important;min-width:0}
.panel td[data-l]:before{content:attr(data-l) " ";color:var(--soft);font-size:.88rem}
.charts{grid-template-columns:1fr}svg.strip{margin:.35rem 0}
}
@media print{
:root{color-scheme:light;--ink:#000;--soft:#444;--line:#bbb;--paper:#fff;--ground:#fff;--mark:#1f4a70;--wash:#0000000d;
--critical:#8c1d18;--warning:#6b4500;--unknown:#4d3576;--ok:#14532d}
@page{margin:16mm 14mm}
body{font-size:10pt;-webkit-print-color-adjust:exact;print-color-adjust:exact}main,header,footer{padding:0;max-width:none}header{padding-top:0}
nav,details{display:none}h1{font-size:20pt}.lead{font-size:12pt}h2{margin-top:1.6rem;font-size:14pt}h2,h3,.note{break-after:avoid}
ul.cards li,figure,tr,dl.tiles,.note{break-inside:avoid}.charts{grid-template-columns:repeat(3,minmax(0,1fr));gap:.5rem}figure{padding:.5rem .6rem}
table{font-size:8.5pt}th,td{padding:.3rem .5rem}tbody th{min-width:10.5rem}tbody th small,td small,thead th,td .s{font-size:8pt}
ul.cards li{padding:.45rem .7rem}
}
"""
