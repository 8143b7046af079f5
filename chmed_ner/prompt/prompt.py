"""A prompt: wording from the configuration, filled for a label scheme, a script and a sentence."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from chmed_ner.entities import Demonstration, Grammar, LabelScheme, Logprobs, Mention, Sentence
from chmed_ner.errors import InputError
from chmed_ner.prompt.examples import Examples
from chmed_ner.prompt.formats.answer import Answer, AnswerFormat
from chmed_ner.prompt.formats.stretches import confident
from chmed_ner.prompt.reasoning import said
from chmed_ner.prompt.wording import Definitions, Hinting, Hints

FIELDS = {"instruction": "{categories}", "sentence": "{sentence}"}
NESTED = {
    "simplified": "实体里面还有实体的，里面的也要写出。\n",
    "traditional": "實體裡面還有實體的，裡面的也要寫出。\n",
}
"""What follows the instruction where entities may lie inside others."""
_FIELD = re.compile(r"\{(?:[^\W\d][^{}]*)?\}")  # `{}` and `{name...}`; other braces are text


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Wording and answer format, as `conf/prompt/*.yaml` gives them.

    `wording` maps a script to `instruction` (may name `{categories}`) and `sentence` (must name
    `{sentence}`). At each string in `stop` an answer is over.
    """

    name: str
    wording: Mapping[str, Mapping[str, str]]
    answer: AnswerFormat
    stop: Sequence[str]
    definitions: Definitions | None
    examples: Examples | None
    hints: Hints | None

    def __post_init__(self) -> None:
        if not isinstance(self.wording, Mapping):
            raise InputError(
                f"prompt '{self.name}', wording={self.wording!r}: must map a script to its words"
            )
        for script, words in self.wording.items():
            _check_wording(self.name, script, words)
        listed = isinstance(self.stop, Sequence) and not isinstance(self.stop, str)
        if not listed or not all(isinstance(text, str) and text for text in self.stop):
            raise InputError(
                f"prompt '{self.name}', stop={self.stop!r}: needs a list of strings, none empty"
            )

    def reworded(self, script: str, instruction: str) -> "Prompt":
        """This prompt with another instruction in `script`; InputError for a field that does not
        exist, and a script without wording."""
        words = {**self.wording.get(script, {}), "instruction": instruction}
        return replace(self, wording={**self.wording, script: words})

    def task(self, labels: LabelScheme, script: str) -> "TaskPrompt":
        """The prompt for one label scheme in one script.

        InputError where wording or hints lack the script, the definitions a type, the labels a type
        of the examples, or the answer format a way to say that entities nest.
        """
        words = self.wording.get(script)
        if words is None:
            raise InputError(
                f"prompt '{self.name}' has no wording for script={script}; add the key "
                f"wording.{script} with `instruction` and `sentence`"
            )
        if labels.nested and not self.answer.nests:
            raise InputError(
                f"prompt '{self.name}': its answers cannot say that an entity lies inside another, "
                f"as labels '{labels.name}' allow; use prompt=inline, extraction or json"
            )
        if self.hints is not None:
            self.hints.check(script)
        categories = "、".join(labels.names(script))
        defined = self.definitions.text(labels, script) if self.definitions else ""
        return TaskPrompt(
            instruction=words["instruction"].replace("{categories}", categories)
            + (NESTED[script] if labels.nested else "")
            + defined,
            template=words["sentence"],
            answer=self.answer,
            labels=labels,
            script=script,
            stop=tuple(self.stop),
            name=self.name,
            examples=self.examples.read(labels, script) if self.examples else (),
            hints=self.hints,
        )


Demonstrate = Callable[[Sequence[str]], list[tuple[Demonstration, ...]]]
"""The demonstrations of each text, in the order in which the model reads them."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the model is asked about one sentence, and what it is shown before."""

    prompt: str
    demonstrations: tuple[Demonstration, ...] = ()


@dataclass(frozen=True)
class TaskPrompt:
    """A prompt for its labels and script: pure text in, pure text out.

    Its questions come with its own `examples`, answered, and with `demonstrate` with demonstrations
    after them; with `hints`, which need a `hinter`, with known mentions after the line of the
    sentence.
    """

    instruction: str
    template: str
    answer: AnswerFormat
    labels: LabelScheme
    script: str
    stop: tuple[str, ...]
    name: str = ""
    examples: tuple[Sentence, ...] = ()
    demonstrate: Demonstrate | None = None
    hints: Hints | None = None
    hinter: Hinting | None = None

    def ask(self, model_texts: Sequence[str]) -> list[Question]:
        """What the model is asked about each text; the instruction comes once, at the beginning."""
        examples = tuple(map(self.demonstration, self.examples))
        if self.demonstrate is None:
            return [self._question(text, examples) for text in model_texts]
        shown = self.demonstrate(model_texts)
        return [
            self._question(text, (*examples, *each))
            for text, each in zip(model_texts, shown, strict=True)
        ]

    def demonstration(self, sentence: Sentence) -> Demonstration:
        """A sentence and its answer, without the instruction."""
        known = self.hinter.hints_without(sentence) if self.hinter else ()
        return Demonstration(self._filled(sentence.model_text, known), self.target(sentence))

    def pair(self, sentence: Sentence) -> tuple[str, str]:
        """A training sentence as question and answer; its hints do not know its own entities."""
        made = self.demonstration(sentence)
        return self.instruction + made.question, made.answer

    def _question(self, text: str, shown: Sequence[Demonstration]) -> Question:
        if not shown:
            return Question(self.fill(text))
        first = replace(shown[0], question=self.instruction + shown[0].question)
        return Question(self._about(text), (first, *shown[1:]))

    def _about(self, model_text: str) -> str:
        return self._filled(model_text, self.hinter.hints(model_text) if self.hinter else ())

    def _filled(self, model_text: str, known: Sequence[Mention]) -> str:
        field, hints = FIELDS["sentence"], ""
        if self.hints is not None:
            assert self.hinter is not None, "a prompt with hints is given their source first"
            hints = self.hints.words(known, self.labels, self.script)
        line_end = self.template.find("\n", self.template.index(field)) + 1
        parts = self.template[:line_end], self.template[line_end:]
        return hints.join(part.replace(field, model_text) for part in parts)

    def fill(self, model_text: str) -> str:
        """What the model reads for one sentence without demonstrations."""
        return self.instruction + self._about(model_text)

    def target_mentions(self, sentence: Sentence) -> tuple[Mention, ...]:
        """The gold mentions that the target lists, in its order."""
        return self.answer.gold(sentence).mentions

    def target(self, sentence: Sentence) -> str:
        """What a perfect model would answer."""
        gold = self.answer.gold(sentence)
        return self.answer.write(gold, sentence.model_text, self.labels, self.script)

    def room(self, characters: int) -> int:
        """From how many code points a decoding's cap is computed for a sentence of `characters`."""
        longest_name = max(map(len, self.labels.names(self.script)))
        return self.answer.room(characters, longest_name)

    def grammar(self, model_text: str, *, in_order: bool) -> Grammar:
        """What the answer to one sentence may look like, with mentions in the order of the text if
        `in_order`; InputError where the answer format has no grammar."""
        grammar = self.answer.grammar(model_text, self.labels, self.script, in_order=in_order)
        if grammar is None:
            raise InputError(
                f"decoding=constrained: the answers of prompt={self.name} have no grammar; use "
                "decoding=greedy with it, or a prompt such as extraction, inline or bio"
            )
        return grammar

    def parse(
        self, text: str, model_text: str, stop: str = "end", logprobs: Logprobs = ()
    ) -> Answer:
        """A completion understood; how it stopped, and what it says beside its answer, is counted
        among the problems. The `logprobs` of its tokens give mentions and spans a confidence."""
        words, drafts = said(text, model_text)
        answer = self.answer.parse(words, model_text, self.labels)
        if logprobs:
            answer = confident(answer, logprobs, text.rfind(words))
        problems = dict(answer.problems)
        if drafts:
            problems["draft"] = drafts
        if stop == "length":
            problems["truncated"] = 1
        if answer.unread:
            problems["unread"] = 1
        if stop == "refused":
            problems = {"refused": 1}
        return replace(answer, problems=problems)


def _check_wording(name: str, script: str, words: Mapping[str, str]) -> None:
    where = f"prompt '{name}', wording.{script}"
    if not isinstance(words, Mapping) or set(words) != set(FIELDS):
        has = sorted(map(str, words)) if isinstance(words, Mapping) else repr(words)
        raise InputError(f"{where}: needs the keys instruction and sentence, has {has}")
    for key, field in FIELDS.items():
        if not isinstance(words[key], str):
            raise InputError(f"{where}.{key}={words[key]!r}: must be text")
        unknown = [found for found in _FIELD.findall(words[key]) if found != field]
        if unknown:
            raise InputError(f"{where}.{key}: unknown field {unknown[0]}; allowed: {field}")
    if FIELDS["sentence"] not in words["sentence"]:
        raise InputError(f"{where}.sentence: must hold {{sentence}}")
