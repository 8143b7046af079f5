"""Turns a composed configuration into objects: `configure` checks and builds it."""

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from chmed_ner.backbone import Backbone, Greedy, Regime
from chmed_ner.data import Dataset, Gazetteer, Limit
from chmed_ner.entities import Headline, Script
from chmed_ner.errors import InputError, first_line, note_secrets, without_secrets
from chmed_ner.knobs import NAMES_RUN, check_knobs, check_numbers, marked, named
from chmed_ner.prompt import AnswerFormat, Definitions, Examples, Hints, Prompt
from chmed_ner.report import check_formats, check_language
from chmed_ner.run.composing import compose
from chmed_ner.run.experiment import EXTRA, OPTIONAL, Experiment, Method
from chmed_ner.run.names import checked_name, default_name
from chmed_ner.run.schema import check_keys
from chmed_ner.track import Tracking, find_run

PARTS: Mapping[str, type] = {
    "dataset": Dataset,
    "script": Script,
    "gazetteer": Gazetteer,
    "prompt": Prompt,
    "prompt.answer": AnswerFormat,
    "prompt.definitions": Definitions,
    "prompt.examples": Examples,
    "prompt.hints": Hints,
    "backbone": Backbone,
    "regime": Regime,
    "decoding": Greedy,
    "restoration": Headline,
    "method": Method,
    "tracking": Tracking,
    "limit": Limit,
}
"""The keys whose nodes have a `_target_`, and what its class must be; all others are values."""
REQUIRED = ("dataset", "method", "tracking")
GROUPS = (*REQUIRED, *OPTIONAL)
"""The groups whose objects are built."""


def plain_config(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain values; InputError naming a value that is missing."""
    try:
        content = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None)
        raise InputError(f"{key}: {first_line(error)}; give it with {key}=...") from None
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def build(node: Any, key: str) -> Any:
    """The object of a node, its own nodes first; None for an empty node.

    InputError: a `_target_` that is no class of PARTS or stands at another key, or a wrong knob.
    """
    if isinstance(node, DictConfig):
        node = plain_config(node)
    if isinstance(node, list):
        node = [build(item, f"{key}[{place}]") for place, item in enumerate(node)]
    part = PARTS.get(key)
    if not isinstance(node, Mapping):
        if part is not None and node is not None:
            raise InputError(f"{key}={node}: a node with _target_ is needed")
        return node
    content = {name: build(value, f"{key}.{name}") for name, value in node.items()}
    if "_target_" not in content and (part is None or not content):
        return content if part is None else None
    target = content.pop("_target_", None)
    constructor = named(target, key)
    if part is None or part not in constructor.__mro__:
        wanted = f"no chmed_ner {part.__name__}" if part else "not wanted here"
        raise InputError(f"{key}._target_={target}: {wanted}; choose an option of conf/")
    check_knobs(constructor, content, key)
    try:
        return constructor(**content)
    except TypeError as error:
        raise InputError(f"{key}: {error}; a value has the wrong type for {target}") from error


@functools.cache
def _option(group: str, name: str) -> dict[str, Any]:
    """The values of an option; knobs that a user must give are left out."""
    content: Any = OmegaConf.to_container(compose([f"{group}={name}"])[group], resolve=True)
    return {key: value for key, value in content.items() if value != "???"}


def option(group: str, name: str, /, **knobs: Any) -> Any:
    """An option's object, some knobs changed: `option("regime", "lora", epochs=1)`."""
    return build({**_option(group, name), **knobs}, group)


def configure(config: Mapping[Any, Any], choices: Mapping[str, str | None]) -> Experiment:
    """The experiment that a composed configuration describes, nothing loaded."""
    content: dict[str, Any] = (
        plain_config(config) if isinstance(config, DictConfig) else dict(config)
    )
    note_secrets([dict(os.environ), content])
    check_keys(content)
    check_numbers(content["seed"], "seed")
    output = Path(content["paths"]["output"]).absolute()
    content |= {group: _with_runs(content[group], group, output) for group in ("regime", "method")}
    data = Path(content["paths"]["data"]).absolute()
    given = [group for group in (*GROUPS, *EXTRA) if content[group] is not None]
    built = {group: build(content[group], group) for group in given}
    if missing := [group for group in REQUIRED if group not in built]:
        raise InputError(f"{missing[0]}=null: every run needs one; name it with {missing[0]}=...")
    if built["dataset"].guesses:  # once: the run's record and all that reads it know the types
        built["dataset"] = built["dataset"].with_labels(data)
        content["dataset"] = {**content["dataset"], "labels": built["dataset"].labels}
    method: Method = built["method"]
    parts = {group: built[group] for group in (*OPTIONAL, *EXTRA) if group in built}
    _check_needs(method, parts, choices)
    if "gazetteer" in parts:  # of several options at once Hydra names none
        choices = {**choices, "gazetteer": "+".join(parts["gazetteer"].files)}
    return Experiment(
        **{key: built[key] for key in REQUIRED},
        seed=content["seed"],
        validate=content["validate"],
        language=check_language(content["language"]),
        figures=check_formats(content["figures"]),
        experiment=without_secrets(content["experiment"]),
        parts=parts,
        name=checked_name(content["name"] or default_name(method, content, choices)),
        limit=build({**content["limit"], "_target_": "chmed_ner.data.Limit"}, "limit"),
        resume=content["resume"] is not None,
        data=data,
        output=output,
        choices={key: str(value) for key, value in choices.items() if value is not None},
        config=without_secrets(content),
    )


def leave_to_other_cells(config: DictConfig, choices: dict[str, str | None]) -> set[str]:
    """Take the groups that its method does not use out of a sweep's cell; returns them.

    A sweep over methods names such a group for those of its cells that have a use for it:
    `preset=crf,lora backbone=...`.
    """
    method = named(config.method.get("_target_"), "method")
    used = {*getattr(method, "needs", OPTIONAL), *getattr(method, "uses", EXTRA)}
    spare = {group for group in {*OPTIONAL, *EXTRA} - used if config[group] is not None}
    for group in spare:
        config[group] = choices[group] = None
    return spare


def _with_runs(node: Any, key: str, output: Path) -> Any:
    """`node` with the directories of the runs that its knobs name; absolute paths stay."""
    if not isinstance(node, Mapping) or "_target_" not in node:
        return node

    def found(value: Any, knob: str) -> Any:
        if isinstance(value, list):
            return [found(each, knob) for each in value]
        if not isinstance(value, str) or Path(value).is_absolute():
            return value
        return str(find_run(value, key=f"{key}.{knob}", output=output))

    knobs = marked(named(node["_target_"], key), NAMES_RUN) & node.keys()
    return {**node, **{knob: found(node[knob], knob) for knob in knobs}}


def _check_needs(
    method: Method, parts: Mapping[str, Any], choices: Mapping[str, str | None]
) -> None:
    chosen = choices.get("method") or method.name
    for group in (*OPTIONAL, *EXTRA):
        if group in method.needs and group not in parts:
            raise InputError(
                f"{group}=null: method={chosen} needs a {group}; name one with {group}=..."
            )
        if group in parts and group not in {*method.needs, *method.uses}:
            part = parts[group]
            option = choices.get(group) or getattr(part, "name", type(part).__name__)
            raise InputError(
                f"{group}={option}: method={chosen} uses no {group}; leave {group} out, and a "
                "preset that sets it too"
            )
