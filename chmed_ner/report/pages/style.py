"""The style sheet of the pages: system fonts, light and dark, one colour for each entity type."""

LIGHT_TEXT, DARK_TEXT = "#16191d", "#eceff3"
"""Text on the light and on the dark page, and on the colours below."""

PALETTE = (
    ("#ffd6b8", "#7a3d12"),
    ("#ffe88a", "#5c4a00"),
    ("#d3dbe4", "#465463"),
    ("#aeeadb", "#085a4c"),
    ("#d8f09a", "#435a08"),
    ("#ffc2cb", "#80213a"),
    ("#bcd8ff", "#1c4788"),
    ("#b9ecb6", "#1b5c22"),
    ("#dac8ff", "#513393"),
    ("#e6d2b9", "#5d4733"),
    ("#aee6f5", "#075567"),
    ("#f8c6f0", "#702a68"),
)
"""Background of a type on the light page, on the dark page; types beyond the last begin again.

The type's name always stands beside the colour, so no reader depends on telling hues apart.
"""

# The sentences are list items by name but blocks by style: Chromium numbers list items again at
# each change of the list, which takes seconds when thousands are drawn.
_PAGE = """
:root{color-scheme:light dark;--page:#fff;--text:LIGHT_TEXT;--quiet:#555d66;--line:#d4d9df;
--soft:#f4f6f8;--wrong:#b3001b;--focus:#0b57d0}
@media(prefers-color-scheme:dark){:root{--page:#14171a;--text:DARK_TEXT;--quiet:#a9b2bc;
--line:#3a414a;--soft:#1f2429;--wrong:#ff9c9c;--focus:#8ab4f8}}
*{box-sizing:border-box}
html{scroll-padding-top:6rem}
body{margin:0 auto;max-width:76rem;padding:1.5rem 1.25rem 4rem;background:var(--page);
color:var(--text);line-height:1.6;font-family:system-ui,"PingFang TC","Microsoft JhengHei",
"Noto Sans TC","Noto Sans CJK TC","Source Han Sans TC",sans-serif}
h1{font-size:1.5rem;line-height:1.35;margin:0 0 1rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2.25rem 0 .75rem}
h3{font-size:1rem;margin:0 0 .5rem}
small,.quiet{color:var(--quiet)}
code,samp{font-family:ui-monospace,"Cascadia Mono",Menlo,Consolas,monospace,system-ui}
code{font-size:.85em;overflow-wrap:anywhere}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px}
.skip{position:absolute;left:-99rem}
.skip:focus{position:static}
.figures{display:flex;flex-wrap:wrap;gap:.75rem;margin:0}
.figures div{background:var(--soft);border:1px solid var(--line);border-radius:.5rem;
padding:.6rem 1.1rem;min-width:9rem}
.figures dt{color:var(--quiet);font-size:.9rem}
.figures dd{margin:0;font-size:1.7rem;line-height:1.3;font-variant-numeric:tabular-nums}
.figures dd small{display:block;font-size:.85rem}
.tables{columns:2 26rem;column-gap:2.5rem}
.scroll{overflow-x:auto;margin-bottom:1rem;break-inside:avoid}
.tables .scroll{padding-bottom:2rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
img{max-width:100%;height:auto;border-radius:.35rem}
.words{display:block;white-space:normal;text-align:left;max-width:17rem}
td .words{font-size:.85rem;color:var(--quiet)}
.board table{width:auto;min-width:60%;font-size:.92rem}
.board th,.board td{padding-inline:.42rem}
.board .long{min-width:8.5rem}
.board th .long{min-width:min(12rem,30vw)}
.board tr:has(.ours){background:var(--soft)}
.board th:first-child{padding-left:.4rem}
caption{text-align:left;color:var(--quiet);font-size:.9rem;padding-bottom:.35rem}
th,td{padding:.3rem .75rem;text-align:right;border-bottom:1px solid var(--line);
white-space:nowrap}
@media(max-width:34rem){th,td{padding-inline:.4rem}}
th:first-child,td:first-child{text-align:left;padding-left:0}
thead th{font-weight:600;border-bottom:2px solid var(--line)}
tbody th{font-weight:400}
mark{color:inherit;background:none;border-radius:.25rem;padding:.1rem .25rem;margin:0 .06rem;
box-decoration-break:clone;-webkit-box-decoration-break:clone;unicode-bidi:isolate}
mark small{font-size:.72em;white-space:nowrap;margin-left:.3em;color:inherit;user-select:none;
-webkit-user-select:none}
mark small::before{content:"\\2060"}
mark.e{box-shadow:inset 0 0 0 2px var(--wrong)}
mark.x:not(.e){border:1px dashed var(--quiet)}
.legend{display:flex;flex-wrap:wrap;gap:.4rem .6rem;list-style:none;padding:0;margin:0 0 1rem}
.filters{position:sticky;top:0;z-index:1;display:flex;flex-wrap:wrap;gap:.6rem 1rem;
align-items:center;padding:.75rem 0;background:var(--page);border-bottom:1px solid var(--line)}
.filters[hidden]{display:none}
.filters label{display:inline-flex;gap:.45rem;align-items:center}
.filters output{margin-left:auto;color:var(--quiet);font-variant-numeric:tabular-nums}
select,input[type=search],button{font:inherit;color:inherit;background:var(--soft);
border:1px solid var(--quiet);border-radius:.35rem;padding:.25rem .5rem}
input[type=checkbox]{width:1.1rem;height:1.1rem;accent-color:var(--focus)}
input[type=search]{width:min(13rem,60vw)}
button{cursor:pointer}
button:hover,summary:hover{color:var(--focus)}
.more{display:block;margin:1rem auto;padding:.4rem 1.2rem}
.more[hidden]{display:none}
.rest{display:block;margin-top:.5rem;font-family:system-ui,sans-serif}
.keys{flex-basis:100%;margin:-.15rem 0 0;font-size:.8rem;color:var(--quiet)}
kbd{font:inherit;border:1px solid var(--quiet);border-radius:.25rem;padding:0 .35em}
@media(max-width:48rem),(max-height:30rem){.filters{position:static}.filters output{margin:0}}
@media(hover:none){.keys{display:none}}
.sentences{list-style:none;margin:0;padding:0}
.sentences>li{display:block;padding:.9rem 0 1rem;border-bottom:1px solid var(--line);
content-visibility:auto;contain-intrinsic-size:auto 9.5rem}
.sentences p{margin:0}
.about{display:flex;flex-wrap:wrap;gap:.1rem .9rem;font-size:.85rem;margin-bottom:.3rem!important}
.wrong{color:var(--wrong);font-size:inherit}
.answer{display:grid;grid-template-columns:3em 1fr;line-height:2.1;white-space:pre-wrap;
overflow-wrap:anywhere}
.answer>small{white-space:nowrap}
.answer>span{min-width:0}
details{margin-top:.35rem;font-size:.9rem}
summary{cursor:pointer;color:var(--quiet);width:fit-content}
samp{display:block;white-space:pre-wrap;overflow-wrap:anywhere;background:var(--soft);
border-radius:.35rem;padding:.6rem .8rem;margin-top:.35rem;unicode-bidi:isolate}
.u{font-style:normal;font-size:.7em;font-family:ui-monospace,Menlo,Consolas,monospace;
border:1px solid var(--quiet);border-radius:.2rem;padding:0 .2em;margin:0 .1em;
white-space:nowrap;user-select:none;-webkit-user-select:none}
"""


def style_sheet(types: int) -> str:
    """The CSS of a page whose label scheme has `types` entity types (classes `t0`, `t1`, ...)."""
    page = _PAGE.replace("LIGHT_TEXT", LIGHT_TEXT).replace("DARK_TEXT", DARK_TEXT)
    light = [f".t{number}{{background:{_colours(number)[0]}}}" for number in range(types)]
    dark = [f".t{number}{{background:{_colours(number)[1]}}}" for number in range(types)]
    return "\n".join(
        [page, *light, "@media(prefers-color-scheme:dark){", *dark, "}", ""],
    )


def _colours(number: int) -> tuple[str, str]:
    return PALETTE[number % len(PALETTE)]
