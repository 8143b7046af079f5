"""`python -m chmed_ner.cli.app`: a page on which people type text and see entities.

It needs the extra `app` (Gradio). Nothing is sent anywhere: no analytics, no fonts from elsewhere.
"""

import argparse
import html
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chmed_ner.cli import keep_secrets
from chmed_ner.cli.options import add_language, add_trust, spoken_language
from chmed_ner.data import Annotated, Document, annotate
from chmed_ner.entities import layers
from chmed_ner.errors import ChmedError, InputError
from chmed_ner.files import output_directory
from chmed_ner.report import TYPE_COLOURS, plain, say, speaking
from chmed_ner.run import Extractor, load
from chmed_ner.track import RunRecord, records_in

QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
KEPT = ("model", "completions.jsonl")
"""What a run with a model has, fitted or asked."""
EXAMPLE = "醫師說我有輕微的脂肪肝，需要吃藥嗎？"
BUTTON = {
    f"button_primary_background_fill{state}{mode}": colour
    for state, colour in (("", "*primary_700"), ("_hover", "*primary_800"))
    for mode in ("", "_dark")
}
"""White text is easy to read on these (a contrast of 6.7 and more)."""
STYLE = "#run input {padding-right: 2em; text-overflow: ellipsis}"
"""On a phone the name of a run ends before the arrow of its list."""
MOST_CHARACTERS = 20000
FONTS = ["system-ui", "Noto Sans CJK TC", "Microsoft JhengHei", "PingFang TC", "sans-serif"]


def runs_in(output: Path) -> dict[str, Path]:
    """The finished runs under `output` that have a model, by name and time, the newest first."""
    found: list[tuple[str, str, Path]] = []
    for folder, record in records_in(output / "runs"):
        if record.status == "FINISHED" and any((folder / name).exists() for name in KEPT):
            found.append((record.started, f"{record.name} ({folder.name[:15]})", folder))
    return {name: path for _, name, path in sorted(found, reverse=True)}


class OpenRun:
    """The one run whose model is in memory."""

    def __init__(self, runs: Mapping[str, Path], *, trust_endpoint: bool = False) -> None:
        self._runs, self._trust = runs, trust_endpoint
        self._lock = threading.Lock()
        self._name = ""
        self._model: Extractor | None = None

    def annotate(self, name: str, text: str) -> list[Annotated]:
        """The lines of `text` with their entities; InputError: no such run, too long a text."""
        if name not in self._runs:
            raise InputError(f"no run {plain(name)!r} here; choose one of the list")
        if len(text) > MOST_CHARACTERS:
            raise InputError(
                f"{len(text)} characters: at most {MOST_CHARACTERS} here; use chmed-ner predict"
            )
        documents = [Document(line, "\n") for line in text.split("\n")]
        with self._lock:
            if self._model is None or name != self._name:
                self.close()
                self._model = load(self._runs[name], trust_endpoint=self._trust)
                self._name = name
            return list(annotate(self._model, [documents]))

    def close(self) -> None:
        """Free the model."""
        if self._model is not None:
            self._model.close()
        self._name, self._model = "", None


def highlighted(found: Sequence[Annotated]) -> list[tuple[str, str | None]]:
    """The text in pieces with the type of each, None outside entities; nothing in it acts.

    Of entities inside others the outermost are shown; `table` has all.
    """
    pieces: list[tuple[str, str | None]] = []
    for each in found:
        text, position = each.document.text, 0
        for span in layers(each.prediction.entities)[0]:
            pieces.append((text[position : span.start], None))
            pieces.append((text[span.start : span.end], span.type))
            position = span.end
        pieces.append((text[position:] + each.document.end, None))
    return [(plain(text, keep="\n\t"), type_) for text, type_ in pieces if text]


def table(found: Sequence[Annotated]) -> list[list[str | int]]:
    """A row an entity: mention, type, line, start and end in the line."""
    return [
        [plain(each.document.text[s.start : s.end]), s.type, number, s.start, s.end]
        for number, each in enumerate(found, start=1)
        for s in each.prediction.entities
    ]


def page(runs: Mapping[str, Path], types: Sequence[str], *, trust_endpoint: bool = False) -> Any:
    """The Gradio page over `runs`; `types` are coloured in their order. InputError without one."""
    if not runs:
        raise InputError("no finished run with a model here; make one with chmed-ner run, or give "
                         "the output directory of yours: --output DIR")  # fmt: skip
    gradio = _gradio()
    opened = OpenRun(runs, trust_endpoint=trust_endpoint)

    def find(run: str, text: str) -> tuple[list[tuple[str, str | None]], list[list[str | int]]]:
        try:
            found = opened.annotate(run, text)
        except ChmedError as error:  # Gradio shows the message as HTML
            raise gradio.Error(html.escape(str(error)), print_exception=False) from None
        return highlighted(found), table(found)

    names = list(runs)
    with gradio.Blocks(title="chmed_ner", analytics_enabled=False) as blocks:
        gradio.Markdown(f"# chmed_ner: {say('Chinese medical named entities')}")
        run = gradio.Dropdown(names, value=names[0], label=say("model (run)"), elem_id="run")
        text = gradio.Textbox(EXAMPLE, lines=3, max_lines=12, label=say("text"))
        button = gradio.Button(say("Mark the entities"), variant="primary")
        shown = gradio.HighlightedText(
            label=say("entities"),
            elem_id="shown",
            show_legend=True,
            combine_adjacent=False,
            color_map={
                type_: TYPE_COLOURS[n % len(TYPE_COLOURS)][0] for n, type_ in enumerate(types)
            },
        )
        entities = gradio.Dataframe(
            headers=[say(name) for name in ("entity", "type", "line", "start", "end")],
            datatype=["str", "str", "number", "number", "number"],
            interactive=False,
            label=say("places (characters of each line)"),
        )
        gradio.on(
            [button.click, text.submit],
            find,
            [run, text],
            [shown, entities],
            api_name="entities",
            concurrency_limit=1,
        )
    return blocks


def _gradio() -> Any:
    """Gradio, made quiet; InputError where it is not installed."""
    os.environ.update(QUIET)
    try:
        import gradio
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise InputError(
            "the page needs Gradio; install the extra `app`: pip install 'chmed-ner[app]'"
        ) from None
    return gradio


def types_of(runs: Mapping[str, Path]) -> list[str]:
    """The entity types of the runs, in the order of their schemes."""
    from chmed_ner.run import build, recorded_config

    types: dict[str, None] = {}
    for path in runs.values():
        try:
            dataset = build(recorded_config(path, RunRecord.read(path))["dataset"], "dataset")
        except InputError:
            continue  # of an older version: opening it says why
        types |= dict.fromkeys(dataset.scheme.tags)
    return list(types)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page until interrupted; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m chmed_ner.cli.app", description=__doc__)
    parser.add_argument("--runs-in", metavar="DIR", type=Path, help="where the runs are")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at")
    parser.add_argument("--port", type=int, default=7860)
    add_trust(parser)
    add_language(parser)
    given = parser.parse_args(arguments)
    keep_secrets([])
    try:
        runs = runs_in((given.runs_in or output_directory()).expanduser().absolute())
        with speaking(spoken_language(given)):
            blocks = page(runs, types_of(runs), trust_endpoint=given.trust_endpoint)
        print(f"http://{given.host}:{given.port}", flush=True)
        themes = _gradio().themes
        theme = themes.Default(primary_hue="blue", font=FONTS, font_mono=["monospace"])
        blocks.launch(
            server_name=given.host,
            server_port=given.port,
            share=False,
            ssr_mode=False,
            enable_monitoring=False,
            footer_links=[],
            quiet=True,
            theme=theme.set(**BUTTON),
            css=STYLE,
        )
    except ChmedError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # the port is taken
        print(f"error: --port {given.port}: {error}", file=sys.stderr)
        return InputError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
