"""How a report looks: in light and in dark, on a wide screen, on a phone and on paper."""

LIGHT = """
    --ground: #ffffff; --raised: #f4f6f8; --text: #1b1f25; --quiet: #5a6473; --line: #d9dde4; --link: #0b57b1;
    --shade: #0003; --caution: #8a5300; --caution-ground: #fff6e5; --stamp: #b3261e;
    --series-1: #0b57b1; --series-2: #b4531a; --series-3: #2f7d4a; --series-4: #7a4bb0; --series-5: #8a6d00;
    --series-6: #4a6070;
"""
DARK = """
    --ground: #14171b; --raised: #1d2127; --text: #e7eaee; --quiet: #9aa4b2; --line: #333a44; --link: #8ab8f0;
    --shade: #000c; --caution: #f0b45c; --caution-ground: #2a2215; --stamp: #ff8a80;
    --series-1: #7db4f5; --series-2: #f0a35e; --series-3: #7fce9a; --series-4: #c3a3ea; --series-5: #d8c05a;
    --series-6: #a5b8c6;
"""
TEXT = f"""
:root {{ color-scheme: light dark; {LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{ {DARK} }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; max-width: 90rem; padding: 1.5rem 1.5rem 4rem; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }}
h1 {{ font-size: 1.6rem; line-height: 1.25; margin: .1rem 0; }}
h2 {{ font-size: 1.25rem; margin: 0 0 .5rem; }}
h3 {{ font-size: 1rem; margin: 1.5rem 0 .5rem; }}
p {{ margin: .4rem 0; max-width: 46rem; }}
h1, h2, h3, caption, .tiles span {{ text-wrap: balance; }}
p, li, figcaption {{ text-wrap: pretty; }}
a {{ color: var(--link); }}
.kind, .subtitle, .hint, figcaption, footer, .detail, .sure {{ color: var(--quiet); }}
.kind, .hint, figcaption, footer {{ font-size: .875rem; }}
.kind {{ margin: 0; }}
.subtitle {{ max-width: none; overflow-wrap: anywhere; }}
.answer {{ font-size: 1.15rem; margin: 0 0 1.25rem; white-space: pre-line; max-width: 50rem; overflow-wrap: anywhere; }}
.stamp {{ border: 3px solid var(--stamp); color: var(--stamp); font-weight: 700; padding: .75rem 1rem; max-width: none;
  margin: 0 0 1.25rem; }}
p.caution {{ border-left: 4px solid var(--caution); padding-left: .75rem; }}
pre {{ background: var(--raised); border-radius: .5rem; padding: .75rem 1rem; overflow-x: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; font-size: .875rem; }}
summary {{ cursor: pointer; color: var(--link); }}
footer {{ margin-top: 3rem; border-top: 1px solid var(--line); padding-top: .75rem; }}
"""
FRAME = """
.lead { display: grid; gap: 1.25rem 2.5rem; margin-top: 1rem; align-items: start; }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; margin: 0; }
.tiles > div { flex: 1 1 13rem; background: var(--raised); border-radius: .5rem; padding: .75rem 1rem; }
.tiles:has(> :nth-child(6)) > div { flex-basis: 18rem; }
.tiles dt { font-weight: 600; overflow-wrap: anywhere; }
.tiles dd { margin: 0; }
.tiles span { display: block; font-size: .875rem; line-height: 1.4; }
.tiles .value { font-size: 1.75rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.cautions { background: var(--caution-ground); border-left: 4px solid var(--caution); padding: .75rem 1rem; }
.cautions h2 { font-size: 1rem; color: var(--caution); margin: 0 0 .25rem; }
.cautions ul { margin: 0; padding-left: 1.2rem; max-width: 60rem; }
.cautions li:not(:last-child) { margin-bottom: .3rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; list-style: none; padding: 0; margin: 1.5rem 0 0;
  font-size: .9rem; }
main > section { margin-top: 2.5rem; padding-top: 1.25rem; border-top: 1px solid var(--line);
  scroll-margin-top: .5rem; }
.beside { display: grid; gap: 0 2.5rem; }
.beside > div { min-width: 0; }
@media screen and (min-width: 75rem) {
  .lead:has(li:nth-child(3)) { grid-template-columns: minmax(0, 5fr) minmax(0, 3fr); }
  .beside { grid-template-columns: var(--columns); }
  .lead:has(li:nth-child(3)) .tiles:has(> :nth-child(6)) > div { flex-basis: 11rem; }
  .beside table { width: 100%; }
  .beside .numbers tbody th { white-space: normal; }
  body:has(> nav) { display: grid; grid-template-columns: 11.5rem minmax(0, 1fr); column-gap: 2.5rem; }
  body > :not(nav, main) { grid-column: 1 / -1; }
  nav { position: sticky; top: 0; align-self: start; margin-top: 2.5rem; }
  nav ul { flex-direction: column; gap: .5rem; margin: 0; padding: 1.25rem 0; border-top: 1px solid var(--line); }
}
"""
TABLES = """
/* A table that is wider than the page scrolls; a shade at the right shows that there is more of it. */
.table { overflow-x: auto; margin: 1rem 0; background:
  linear-gradient(to left, var(--ground) 40%, transparent) right / 2.5rem 100% no-repeat local,
  linear-gradient(to left, var(--shade), transparent) right / .75rem 100% no-repeat; }
table { border-collapse: collapse; font-size: .9rem; }
caption { text-align: left; font-weight: 600; padding-bottom: .35rem; font-size: 1rem; position: sticky; left: 0;
  max-width: calc(100vw - 2.5rem); }
th, td { padding: .3rem 1rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th:last-child, td:last-child { padding-right: 0; }
thead th { font-weight: 600; color: var(--quiet); vertical-align: bottom; }
tbody th { font-weight: 400; }
.numbers td, .numbers tbody th { font-variant-numeric: tabular-nums; }
.numbers td, .numbers tbody th { white-space: nowrap; }
.wide td, .wide tbody th { white-space: normal !important; }
.numbers td:last-child { white-space: normal; }
.words tbody th { overflow-wrap: anywhere; min-width: 9rem; }
.words td { overflow-wrap: anywhere; }
.words tr:has(> :nth-child(3)) td { min-width: 11rem; }
.wide tbody th { min-width: 7.5rem; }
.matrix { border-collapse: separate; border-spacing: 4px; }
.matrix th, .matrix td { border: 0; }
.matrix thead th { padding: 0 .75rem; }
.matrix thead th:first-child { padding-left: 0; }
.matrix tbody th { vertical-align: middle; padding-right: .75rem; }
.matrix th span, .matrix td span { display: block; color: var(--quiet); font-size: .8125rem; line-height: 1.35; }
.matrix td, .matrix td:last-child { padding: .5rem .75rem; border-radius: .35rem; --tint: calc(6% + 34% * var(--share));
  background: color-mix(in srgb, var(--series-1) var(--tint), var(--ground)); print-color-adjust: exact; }
.matrix td.wrong { background: color-mix(in srgb, var(--series-2) var(--tint), var(--ground)); }
.matrix td span { color: var(--text); }
.matrix b { font-size: 1.25rem; font-variant-numeric: tabular-nums; }
"""
PICTURES = """
figure { margin: 0; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(21rem, 100%), 1fr)); gap: 1.5rem;
  margin: 1rem 0; align-items: start; }
.plots figure { max-width: 33rem; }
.plots svg { display: block; width: 100%; height: auto; font-family: inherit; }
.films { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); gap: 1rem; }
.pair { display: flex; gap: 2px; background: #000; border-radius: .25rem; overflow: hidden; }
.pair img { flex: 1 1 0; min-width: 0; width: 100%; height: 11rem; object-fit: contain; }
.large .pair img { height: auto; aspect-ratio: 1; }
.film figcaption { line-height: 1.35; margin-top: .3rem; color: var(--text); }
.path { color: var(--quiet); overflow-wrap: anywhere; font-size: .8rem; }
"""
PHONE = """
@media (max-width: 40rem) {
  body { padding: 1rem .9rem 3rem; }
  .tiles { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem; }
  .tiles > div { padding: .5rem .7rem; }
  .tiles > div:last-child:nth-child(odd) { grid-column: 1 / -1; }
  .tiles .value { font-size: 1.4rem; }
  .numbers td, .numbers tbody th { white-space: normal; }
  table { font-size: .8125rem; }
  th, td { padding-right: .6rem; }
  .numbers tr > th:first-child { position: sticky; left: 0; background: var(--ground); }
  .matrix td, .matrix thead th { padding-inline: .5rem; }
}
"""
PAPER = f"""
@media print {{
  :root {{ color-scheme: light; font-size: 13px; {LIGHT} }}
  body {{ max-width: none; padding: 0; font-size: 1rem; }}
  nav {{ display: none; }}
  main > section {{ margin-top: 1.5rem; }}
  .tiles > div, .tiles:has(> :nth-child(6)) > div {{ flex-basis: 9rem; }}
  .table {{ overflow: visible; background: none; break-inside: avoid; }}
  .table:has(tbody tr:nth-child(12)) {{ break-inside: auto; }}
  .films {{ grid-template-columns: repeat(3, 1fr); }}
  .pair img {{ height: 26mm; }}
  .films.large {{ grid-template-columns: repeat(2, 1fr); }}
  .numbers td {{ white-space: normal; }}
  .plots {{ grid-template-columns: 1fr 1fr; }}
  .beside:has(.plots) {{ grid-template-columns: 1fr 1fr; }}
  .beside:has(.plots) .plots {{ grid-template-columns: 1fr; }}
  .beside:has(.plots) > :not(:has(.plots)) {{ grid-column: 1 / -1; }}
  h2, h3, caption, summary, p:has(+ .table), p:has(+ .plots), p:has(+ h3) {{ break-after: avoid; }}
  p, tr, figure, .plots, .tiles > div, .cautions {{ break-inside: avoid; }}
  .tiles > div, .cautions, pre {{ border: 1px solid var(--line); }}
  details::details-content {{ content-visibility: visible; display: block; }}
  summary {{ list-style: none; }}
  a, summary {{ color: inherit; text-decoration: none; }}
}}
@page {{ margin: 16mm 14mm; }}
"""
STYLE = TEXT + FRAME + TABLES + PICTURES + PHONE + PAPER
