"""The filters above the sentences. They need no storage, no network and no origin of their own, so
they work in a sandboxed frame; without scripts they stay hidden and every sentence is shown."""

import html
from collections.abc import Sequence

from chmed_ner.report.visible import plain

SCRIPT = """
(() => {
  const bar = document.getElementById("filters");
  if (!bar) return;
  const [genre, wrong, search, shown] = ["genre", "wrong", "search", "shown"].map(
    (id) => document.getElementById(id));
  const rows = [...document.querySelectorAll("#sentences > li")];
  let texts = null;
  const textOf = (row) => {
    const walker = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
    let text = "";
    while (walker.nextNode()) {
      const inside = walker.currentNode.parentNode.nodeName;
      if (inside !== "SMALL" && inside !== "SUMMARY") text += walker.currentNode.data;
    }
    return text.toLowerCase();
  };
  const apply = () => {
    const wanted = search.value.trim().toLowerCase();
    if (wanted && !texts) texts = rows.map(textOf);
    let count = 0;
    rows.forEach((row, i) => {
      const keep = (!genre.value || row.dataset.g === genre.value)
        && (!wrong.checked || row.dataset.e !== "0")
        && (!wanted || texts[i].includes(wanted));
      if (row.hidden === keep) row.hidden = !keep;
      if (keep) count += 1;
    });
    shown.value = `${count.toLocaleString("en")} / ${rows.length.toLocaleString("en")} 句`;
  };
  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(apply, 150);
  });
  genre.addEventListener("change", apply);
  wrong.addEventListener("change", apply);
  bar.hidden = false;
  apply();
})();
"""


def filter_bar(genres: Sequence[str]) -> str:
    """The HTML of the filters; a sentence's `data-g` is the index of its genre in `genres`."""
    options = "".join(
        f'<option value="{number}">{html.escape(plain(genre))}</option>'
        for number, genre in enumerate(genres)
    )
    return (
        '<div class="filters" id="filters" role="search" aria-label="篩選句子" hidden>\n'
        '<label>文類 <select id="genre" autocomplete="off">'
        f'<option value="">全部</option>{options}</select></label>\n'
        '<label><input type="checkbox" id="wrong" autocomplete="off">只看有錯誤的句子</label>\n'
        '<label>搜尋 <input type="search" id="search" autocomplete="off" spellcheck="false" '
        'placeholder="句子、編號或模型輸出"></label>\n'
        '<output id="shown" for="genre wrong search"></output>\n'
        "</div>\n"
    )
