"""The frame of a page: one HTML file in which only our own style and script have an effect."""

import base64
import hashlib
import html
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from chmed_ner.report.pages.visible import plain, visible


@lru_cache
def explorer_script() -> str:
    """The script that draws and filters the sentences."""
    return Path(__file__).with_name("explorer.js").read_text(encoding="utf-8")


def opening(title: str, style: str, script: str = "", *, skip: tuple[str, str] = ("", "")) -> str:
    """Everything up to the heading and the beginning of `main`.

    The policy lets run only the given style and script, so that even a mistake in escaping could
    neither run anything nor fetch anything; pictures may stand in the page itself. `skip` is the
    anchor and the words of a link, for the keyboard, past what stands above.
    """
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; img-src data:; "
        + (f"script-src '{_digest(script)}'; " if script else "")
        + "base-uri 'none'; form-action 'none'"
    )
    anchor, words = skip
    return (
        '<!DOCTYPE html>\n<html lang="zh-Hant" dir="ltr">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{html.escape(plain(title))}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        + (f'<a class="skip" href="#{anchor}">{words}</a>\n' if anchor else "")
        + f"<h1>{visible(title)}</h1>\n<main>\n"
    )


def closing(data: Iterable[str] = (), script: str = "") -> str:
    """The end of a page: the `data` of the script (pieces of JSON, escaped), then the script."""
    json = "".join(data)
    block = f'<script type="application/json" id="data">{json}</script>\n' if json else ""
    run = f"<script>{script}</script>\n" if script else ""
    return f"</main>\n{block}{run}</body>\n</html>\n"


def _digest(text: str) -> str:
    """The hash source by which a content security policy names an inline text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
