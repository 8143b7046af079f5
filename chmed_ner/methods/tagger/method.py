"""`method=tagger`: a transformer that tags characters, with a CRF layer on top."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from chmed_ner.backbone import Backbone, Encoder
from chmed_ner.data import Corpus, WordList
from chmed_ner.entities import Sentence, tags_of
from chmed_ner.errors import InputError, first_line
from chmed_ner.knobs import LAYERS, Count, Positive, Share, at_least
from chmed_ner.methods.features import (
    NumberedFeatures,
    lexicon_of,
    lexicons_of,
    match_features,
    numbered_features,
    numbered_from_json,
    out_of_fold_features,
)
from chmed_ner.methods.fitted import Fitted, lists_of, validation_f1
from chmed_ner.model import SPLIT
from chmed_ner.run import Experiment
from chmed_ner.track import Tracker, note_counts
from chmed_ner.train import Recipe

if TYPE_CHECKING:
    from chmed_ner.methods.tagger.model import Tagger
    from chmed_ner.methods.tagger.network import TaggedExample
    from chmed_ner.methods.tagger.reading import Reader

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TaggerMethod(Recipe, Fitted):
    """A transformer with a head that tags characters; the best epoch on validation is kept.

    Where entities may lie inside others, the characters are tagged for each type by itself. The
    trained tensors are in `model/tagger.safetensors`, tags and lexicon in `model/tagger.json`.
    """

    name = "tagger"
    group = "method"
    needs = ("script", "backbone")
    uses = ("gazetteer",)
    named_by = ("backbone", "method")
    description_file = "tagger.json"
    weights_file = "tagger.safetensors"
    nests = True

    rank: Count | None
    alpha: Positive | None
    lora_dropout: Share
    targets: Annotated[Any, LAYERS]
    crf: bool
    recurrent: Annotated[int, at_least(0)]
    dropout: Share
    window: Count
    head_learning_rate: Positive
    lexicon: bool
    folds: Annotated[int, at_least(2)]

    def check(self, experiment: Experiment, corpus: Corpus) -> None:
        """InputError: no weights, unfit ones, or no training sentence with text."""
        super().check(experiment, corpus)
        backbone = experiment.backbone
        source = backbone if isinstance(backbone, Encoder) else backbone.tunable()
        if self.rank is None and source.quantization != "none":
            raise InputError(
                f"backbone.quantization={source.quantization}: method.rank=null tunes every "
                "weight, and quantised ones cannot be; give a rank"
            )
        if source.device == SPLIT:
            raise InputError("backbone.device=split: a tagger needs one device; use device=auto")
        if source.dtype == "float16":
            raise InputError(
                "backbone.dtype=float16: gradients of method=tagger would vanish in its range; use "
                "bfloat16 or float32"
            )
        if "gazetteer" in experiment.parts and not self.lexicon:
            raise InputError(
                "gazetteer: method=tagger reads word lists beside the training lexicon; set "
                "method.lexicon=true"
            )
        if not any(sentence.text for sentence in corpus.train):
            raise InputError("method=tagger: no training sentence has text; raise limit.train")

    def fit(
        self, experiment: Experiment, corpus: Corpus, directory: Path, tracker: Tracker
    ) -> None:
        """Read the sentences, train, keep the best epoch."""
        from chmed_ner.methods.tagger.model import save_weights, tag_sets
        from chmed_ner.methods.tagger.network import TagLoss
        from chmed_ner.train import KeptEpoch, Training

        types, seed, validation = corpus.labels.tags, experiment.seed, corpus.validation
        train = [sentence for sentence in corpus.train if sentence.text]
        features, numbered = self._features(train, types, seed, lists_of(experiment, corpus))
        tags = tag_sets(types, nested=corpus.labels.nested)
        tagger = self._new(experiment.backbone, tags, features, seed)
        network, examples = tagger.network, _examples(tagger.reader, tags, train, numbered)
        trained = sum(each.numel() for each in network.trained().values())
        log.info("%.2f million parameters are trained", trained / 1e6)
        note_counts(directory, {"trained_parameters": trained})
        score = (lambda _epoch: validation_f1(tagger, validation)) if validation else None
        kept = KeptEpoch(score, network.trained, tracker.log)
        rates = (self.learning_rate, self.head_learning_rate)
        objective = TagLoss(network, rates, self.tokens_at_once)
        training = Training(objective, examples, self, kept, seed=seed, directory=directory)
        training.run()
        save_weights(self.weights_path(directory), kept.state)
        content = {
            "tags": tags,
            "validation_f1": kept.best if validation else None,
            "trained_parameters": trained,
            "lexicon": features.as_json() if features else None,
        }
        self.write_description(directory, content)
        training.checkpoint.remove()

    def reopen(self, directory: Path, backbone: Backbone | None) -> "Tagger":
        """The tagger of a finished run; InputError where a file is absent, broken or changed."""
        from chmed_ner.methods.tagger.model import load_weights

        def parse(content: dict[str, Any]) -> tuple[list[list[str]], NumberedFeatures | None]:
            features = numbered_from_json(content["lexicon"]) if content["lexicon"] else None
            return [list(map(str, tags)) for tags in content["tags"]], features

        tags, features = self.read_description(directory, parse)
        assert backbone is not None, "the method needs one"
        tagger = self._new(backbone, tags, features, seed=0)
        load_weights(tagger.network, self.weights_path(directory))
        return tagger

    def _new(
        self,
        backbone: Backbone,
        tags: Sequence[Sequence[str]],
        features: NumberedFeatures | None,
        seed: int,
    ) -> "Tagger":
        """A tagger, its fresh weights drawn by `seed`; InputError: the window does not fit."""
        import torch

        from chmed_ner.methods.tagger.model import Tagger, positions_of, tokenizer_of
        from chmed_ner.methods.tagger.network import TaggerNetwork
        from chmed_ner.methods.tagger.reading import Reader

        tokenizer = tokenizer_of(backbone)
        Reader(tokenizer, most=self.window)  # refused before the weights are loaded
        if isinstance(backbone, Encoder):
            base = backbone.transformer()
        else:
            base = backbone.tunable().load().model.base_model
        base.config.use_cache = False
        reader = Reader(tokenizer, most=int(min(self.window, positions_of(base))))
        torch.manual_seed(seed)
        self._tune(base)
        network = TaggerNetwork(
            base,
            tags,
            causal=not isinstance(backbone, Encoder),
            features=len(features or ()),
            recurrent=self.recurrent,
            dropout=self.dropout,
            crf=self.crf,
        ).to(base.device)
        return Tagger(network, reader, features, getattr(backbone, "batch_size", 32))

    def _tune(self, model: Any) -> None:
        """Let all weights, or fresh float32 adapters, be trained; InputError: unfit `targets`."""
        if self.rank is None:
            model.requires_grad_(True)
            return
        from peft import LoraConfig, inject_adapter_in_model

        model.requires_grad_(False)
        config = LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha or 2.0 * self.rank,
            lora_dropout=self.lora_dropout,
            target_modules=self.targets,
        )
        try:
            inject_adapter_in_model(config, model)
        except ValueError as error:
            raise InputError(f"method.targets={self.targets}: {first_line(error)}") from None
        for name, parameter in model.named_parameters():
            if parameter.requires_grad != ("lora_" in name):
                raise InputError(
                    f"method.targets={self.targets}: {name} takes no adapter; leave it out"
                )
            if parameter.requires_grad:
                parameter.data = parameter.data.float()

    def _features(
        self,
        sentences: Sequence[Sentence],
        types: Sequence[str],
        seed: int,
        lists: Mapping[str, WordList],
    ) -> tuple[NumberedFeatures | None, list[list[list[int]]] | None]:
        """The features that text gets, and the out-of-fold ones of the training sentences."""
        if not self.lexicon:
            return None, None
        rows = out_of_fold_features(sentences, types, self.folds, seed, match_features, lists)
        features = numbered_features(lexicon_of(sentences, types), lexicons_of(lists), rows)
        return features, [features.numbered(each) for each in rows]


def _examples(
    reader: "Reader",
    tags: Sequence[Sequence[str]],
    sentences: Sequence[Sentence],
    features: list[list[list[int]]] | None,
) -> "list[TaggedExample]":
    """The sentences as they are learnt, by the features given (out of fold) or none."""
    from chmed_ner.methods.tagger.network import TaggedExample

    numbers = [{tag: at for at, tag in enumerate(each)} for each in tags]
    given = features or [[[] for _ in sentence.text] for sentence in sentences]
    examples = []
    for sentence, found in zip(sentences, given, strict=True):
        columns = []
        for number in numbers:
            spans = [each for each in sentence.entities if f"B-{each.type}" in number]
            columns.append([number[tag] for tag in tags_of(spans, len(sentence.text))])
        learnt = tuple(zip(*columns, strict=True))
        examples.append(TaggedExample(reader(sentence.model_text), found, learnt))
    return examples
