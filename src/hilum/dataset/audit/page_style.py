"""How the audit's page looks, in light and in dark."""

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --raised: #f4f5f7; --text: #1b1f24; --quiet: #5a6472; --line: #d9dde3; --link: #0b57b0;
  --leak: #b3261e; --warning: #8a5300; --suggestion: #1f5f8b; --note: #5a6472; --bar: #8a5300;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #14171b; --raised: #1d2127; --text: #e7eaee; --quiet: #9aa4b2; --line: #333a44; --link: #8ab8f0;
    --leak: #ff8a80; --warning: #f0b45c; --suggestion: #86bfe8; --note: #9aa4b2; --bar: #f0b45c;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 90rem; padding: 1.5rem 1.5rem 4rem; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .25rem; padding-top: 1rem; border-top: 1px solid var(--line); }
p { margin: .25rem 0; max-width: 60rem; }
a { color: var(--link); }
nav { overflow-x: auto; margin-top: 1rem; }
table { border-collapse: collapse; }
nav table { width: 100%; }
nav th, nav td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; }
nav tr { border-bottom: 1px solid var(--line); }
nav td:nth-child(2) { white-space: nowrap; }
nav td:nth-child(3) { min-width: 16rem; } nav td:nth-child(4) { min-width: 14rem; }
.severity { font-size: .8rem; font-weight: 600; padding: .1rem .45rem; border: 1px solid; border-radius: .3rem; }
.leak { color: var(--leak); } .warning { color: var(--warning); }
.suggestion { color: var(--suggestion); } .note { color: var(--note); }
.quiet, .advice, figcaption { color: var(--quiet); }
.advice:empty { display: none; }
section { scroll-margin-top: 1rem; }
.group, .films { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: .75rem; }
.groups { display: flex; flex-wrap: wrap; gap: .75rem; align-items: flex-start; }
.group { background: var(--raised); border-radius: .5rem; padding: .75rem; }
figure { margin: 0; width: 168px; }
figure img { display: block; width: 168px; height: 168px; border-radius: .25rem; background: #000; }
figcaption { font-size: .75rem; line-height: 1.35; margin-top: .25rem; }
.path { color: var(--text); overflow-wrap: anywhere; }
.missing { width: 168px; height: 168px; display: grid; place-items: center; border: 1px dashed var(--line);
  border-radius: .25rem; color: var(--quiet); font-size: .8rem; }
.bars { margin-top: .75rem; font-size: .9rem; }
.bars caption { text-align: left; color: var(--quiet); }
.bars th { font-weight: 400; text-align: left; padding-right: 1rem; white-space: nowrap; }
.bars td { padding-right: .75rem; font-variant-numeric: tabular-nums; }
.bars .scale { width: 16rem; padding: 0; background: var(--raised); }
.bar { height: .7rem; background: var(--bar); border-radius: 0 .2rem .2rem 0; }
@media (max-width: 40rem) {
  body { padding: 1rem .9rem 3rem; font-size: 14px; }
  .bars .scale { width: 7rem; }
  nav thead { display: none; }
  nav tr { display: grid; grid-template-columns: auto 1fr; gap: 0 .6rem; padding: .4rem 0; }
  nav td { padding: .1rem 0; }
  nav td:nth-child(n+3) { grid-column: 1 / -1; min-width: 0; }
}
@media print {
  :root { color-scheme: light; }
  body { max-width: none; padding: 0; }
  figure, .group, nav tr { break-inside: avoid; }
  h2, h2 + p { break-after: avoid; }
}
"""
