"""`method=tagger`: a transformer that tags characters, with a CRF layer on top."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from chmed_ner.backbone.encoder import Encoder
from chmed_ner.backbone.protocol import Backbone
from chmed_ner.data.corpus import Corpus
from chmed_ner.entities.types import Sentence, tags_of
from chmed_ner.errors import InputError
from chmed_ner.knobs import Positive, at_least
from chmed_ner.methods.features import lexicon_of, match_features, out_of_fold_features
from chmed_ner.methods.fitted import Fitted, validation_f1
from chmed_ner.methods.tagger.architecture import Architecture
from chmed_ner.methods.tagger.lexicon_features import LexiconFeatures, from_json, learnt
from chmed_ner.model.checkpoint.hardware import SPLIT
from chmed_ner.run.experiment import Experiment
from chmed_ner.track.record import note_counts
from chmed_ner.train.recipe import Recipe

if TYPE_CHECKING:
    from chmed_ner.methods.tagger.model import Tagger
    from chmed_ner.methods.tagger.network import TaggedExample
    from chmed_ner.track import Tracker

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TaggerMethod(Architecture, Recipe, Fitted):
    """A backbone's transformer with a head that tags characters; the best epoch is kept.

    The backbone is an encoder or any causal language model, whose output head is left out. With
    `lexicon` the head sees the matches of a lexicon as well, for a training sentence those of a
    lexicon without its own one of `folds`.

    `model/tagger.safetensors` holds the tensors that were trained; `model/tagger.json` the types,
    the lexicon, the validation F1 and the checksum of that file.
    """

    name = "tagger"
    group = "method"
    needs = ("script", "backbone")
    named_by = ("backbone", "method")
    description_file = "tagger.json"
    weights_file = "tagger.safetensors"

    head_learning_rate: Positive
    lexicon: bool
    folds: Annotated[int, at_least(2)]

    def check(self, experiment: Experiment, corpus: Corpus) -> None:
        """InputError for a backbone that has no weights, or weights that `rank` null cannot tune,
        and for a training split without sentences that can be read."""
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
        if not any(sentence.text for sentence in corpus.train):
            raise InputError("method=tagger: no training sentence has text; raise limit.train")

    def fit(
        self, experiment: Experiment, corpus: Corpus, directory: Path, tracker: "Tracker"
    ) -> None:
        """Read the sentences, train, keep the best epoch."""
        from chmed_ner.methods.tagger.model import new_tagger, save_weights
        from chmed_ner.methods.tagger.network import TagLoss
        from chmed_ner.train.checkpoint import KeptEpoch
        from chmed_ner.train.loop import Training

        types, seed, validation = corpus.labels.tags, experiment.seed, corpus.validation
        train = [sentence for sentence in corpus.train if sentence.text]
        features, numbered = self._features(train, types, seed)
        tagger = new_tagger(experiment.backbone, self, types, features, seed)
        network, examples = tagger.network, _examples(tagger, train, numbered)
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
            "types": list(types),
            "validation_f1": kept.best if validation else None,
            "trained_parameters": trained,
            "lexicon": features.as_json() if features else None,
        }
        self.write_description(directory, content)
        training.checkpoint.remove()

    def reopen(self, directory: Path, backbone: Backbone | None) -> "Tagger":
        """The tagger of a finished run; InputError where a file is absent, broken or changed."""
        from chmed_ner.methods.tagger.model import load_weights, new_tagger

        def parse(content: dict[str, Any]) -> tuple[list[str], LexiconFeatures | None]:
            features = from_json(content["lexicon"]) if content["lexicon"] else None
            return list(map(str, content["types"])), features

        types, features = self.read_description(directory, parse)
        assert backbone is not None, "the method needs one"
        tagger = new_tagger(backbone, self, types, features, seed=0)
        load_weights(tagger.network, self.weights_path(directory))
        return tagger

    def _features(
        self, sentences: Sequence[Sentence], types: Sequence[str], seed: int
    ) -> tuple[LexiconFeatures | None, list[list[list[int]]] | None]:
        """The features that text gets, and the out-of-fold ones of the training sentences."""
        if not self.lexicon:
            return None, None
        rows = out_of_fold_features(
            sentences, types, self.folds, seed, lambda lexicon: partial(match_features, lexicon)
        )
        features = learnt(lexicon_of(sentences, types), rows)
        return features, [features.numbered(each) for each in rows]


def _examples(
    tagger: "Tagger", sentences: Sequence[Sentence], features: list[list[list[int]]] | None
) -> "list[TaggedExample]":
    """The sentences as they are learnt, by the features given (out of fold) or none."""
    from chmed_ner.methods.tagger.network import TaggedExample

    number = {tag: at for at, tag in enumerate(tagger.labels)}
    given = features or [[[] for _ in sentence.text] for sentence in sentences]
    return [
        TaggedExample(
            tagger.reader(sentence.model_text),
            found,
            tuple(number[tag] for tag in tags_of(sentence.entities, len(sentence.text))),
        )
        for sentence, found in zip(sentences, given, strict=True)
    ]
