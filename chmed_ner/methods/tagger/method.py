"""`method=tagger`: a transformer that tags characters, with a CRF layer on top."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chmed_ner.backbone.encoder import Encoder
from chmed_ner.backbone.protocol import Backbone
from chmed_ner.data.corpus import Corpus
from chmed_ner.entities.bio import tags_of
from chmed_ner.entities.lexicon import StringIndex, count_mentions, mention_strings
from chmed_ner.entities.types import Sentence
from chmed_ner.errors import InputError
from chmed_ner.files import read_json, sha256_of, write_json
from chmed_ner.methods.features import match_features, out_of_fold_features
from chmed_ner.methods.fitted import Fitted, validation_f1
from chmed_ner.methods.tagger.lexicon_features import LexiconFeatures, from_json, learnt
from chmed_ner.methods.tagger.recipe import Architecture, Recipe
from chmed_ner.model.checkpoint.hardware import SPLIT
from chmed_ner.run.experiment import Experiment
from chmed_ner.track.record import note_counts

if TYPE_CHECKING:
    from chmed_ner.methods.tagger.model import Tagger
    from chmed_ner.methods.tagger.training import Example
    from chmed_ner.track import Tracker

log = logging.getLogger(__name__)

FILE = "model/tagger.json"
WEIGHTS = "model/tagger.safetensors"


class TaggerMethod(Fitted):
    """A backbone's transformer with a head that tags characters; the best epoch is kept.

    The backbone is an encoder or any causal language model, whose output head is left out. It is
    tuned with LoRA of `rank` (alpha: twice the rank if null), or in every weight (null). With
    `lexicon` the head is told the matches of a lexicon as well, built for a training sentence
    without its own one of `folds`.

    `model/tagger.safetensors` holds the tensors that were trained; `model/tagger.json` the types,
    the lexicon, the validation F1 and the checksum of that file.
    """

    name = "tagger"
    needs = ("script", "backbone")
    named_by = ("backbone", "method")

    def __init__(
        self,
        learning_rate: float,
        head_learning_rate: float,
        epochs: int,
        batch_size: int,
        rank: int | None,
        alpha: float | None,
        lora_dropout: float,
        targets: Any,
        bidirectional: bool,
        repeat: bool,
        pieces: str,
        crf: bool,
        recurrent: int,
        dropout: float,
        lexicon: bool,
        folds: int,
        window: int,
        schedule: str,
        warmup_share: float,
        weight_decay: float,
        clip_norm: float,
        tokens_at_once: int,
        checkpoint_minutes: float | None,
    ) -> None:
        self.architecture = Architecture(
            rank=rank,
            alpha=2.0 * (rank or 1) if alpha is None else alpha,
            lora_dropout=lora_dropout,
            targets=targets if isinstance(targets, str) else list(targets),
            bidirectional=bidirectional,
            repeat=repeat,
            pieces=pieces,
            crf=crf,
            recurrent=recurrent,
            dropout=dropout,
            window=window,
        )
        self.recipe = Recipe(
            learning_rate=learning_rate,
            head_learning_rate=head_learning_rate,
            epochs=epochs,
            batch_size=batch_size,
            schedule=schedule,
            warmup_share=warmup_share,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            tokens_at_once=tokens_at_once,
        )
        if lexicon and folds < 2:
            raise InputError(f"method.folds={folds}: give 2 or more")
        if checkpoint_minutes is not None and not checkpoint_minutes >= 0:
            raise InputError(
                f"method.checkpoint_minutes={checkpoint_minutes}: give 0 or more, or null for none"
            )
        self.lexicon = lexicon
        self.folds = folds
        self.checkpoint_minutes = checkpoint_minutes

    @property
    def choices(self) -> int:
        """One setting; of its epochs the last one is kept where there is nothing to choose on."""
        return 1

    def check(self, experiment: Experiment, corpus: Corpus) -> None:
        """InputError for a backbone that has no weights, or weights that `rank` null cannot tune,
        and for a training split without sentences that can be read."""
        super().check(experiment, corpus)
        backbone = experiment.backbone
        source = backbone if isinstance(backbone, Encoder) else backbone.tunable()
        if self.architecture.rank is None and source.quantization != "none":
            raise InputError(
                f"backbone.quantization={source.quantization}: method.rank=null tunes every "
                "weight, and quantised ones cannot be; give a rank"
            )
        if source.device == SPLIT:
            raise InputError("backbone.device=split: a tagger lies on one device; use device=auto")
        if source.dtype == "float16":
            raise InputError(
                "backbone.dtype=float16: gradients of method=tagger would vanish in its range; use "
                "bfloat16 or float32"
            )
        if not any(sentence.text for sentence in corpus.train):
            raise InputError("method=tagger: no training sentence has text; raise limit.train")

    def finished(self, directory: Path) -> bool:
        """Whether the model is there: its description is written last."""
        return (directory / FILE).is_file()

    def fit(
        self, experiment: Experiment, corpus: Corpus, directory: Path, tracker: "Tracker"
    ) -> None:
        """Read the sentences, train, keep the best epoch."""
        from chmed_ner.methods.tagger.fit import fit
        from chmed_ner.methods.tagger.model import new_tagger

        types, seed = corpus.labels.tags, experiment.seed
        train = [sentence for sentence in corpus.train if sentence.text]
        features, numbered = self._features(train, types, seed)
        tagger = new_tagger(experiment.backbone, self.architecture, types, features, seed)
        trained = sum(each.numel() for each in tagger.network.trained().values())
        log.info("%.2f million parameters are trained", trained / 1e6)
        note_counts(directory, {"trained_parameters": trained})
        validation = corpus.validation

        def describe(f1: float) -> None:
            content = {
                "types": list(types),
                "validation_f1": f1 if validation else None,
                "trained_parameters": trained,
                "sha256": sha256_of(directory / WEIGHTS),
                "lexicon": features.as_json() if features else None,
            }
            write_json(directory / FILE, content)

        fit(
            tagger,
            _examples(tagger, train, numbered),
            self.architecture,
            self.recipe,
            seed=seed,
            weights=directory / WEIGHTS,
            checkpoint=(directory, self.checkpoint_minutes),
            score=(lambda: validation_f1(tagger, validation)) if validation else None,
            tell=tracker.log,
            describe=describe,
        )

    def reopen(self, directory: Path, backbone: Backbone | None) -> "Tagger":
        """The tagger of a finished run; InputError where a file is absent, broken or changed."""
        from chmed_ner.methods.tagger.model import load_weights, new_tagger

        path, weights = directory / FILE, directory / WEIGHTS
        content = read_json(path)
        try:
            types, digest = list(map(str, content["types"])), content["sha256"]
            features = from_json(content["lexicon"]) if content["lexicon"] else None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path}: not a tagger's ({error!r}); run the method again") from None
        if not weights.is_file() or sha256_of(weights) != digest:
            raise InputError(
                f"{weights}: absent, or another file than the one that was trained; bring it back, "
                "or run the method again"
            )
        assert backbone is not None, "the method needs one"
        tagger = new_tagger(backbone, self.architecture, types, features, seed=0)
        load_weights(tagger.network, weights)
        return tagger

    def _features(
        self, sentences: Sequence[Sentence], types: Sequence[str], seed: int
    ) -> tuple[LexiconFeatures | None, list[list[list[int]]] | None]:
        """The features that text gets, and the out-of-fold ones of the training sentences."""
        if not self.lexicon:
            return None, None
        index = StringIndex(mention_strings(sentences))
        rows = out_of_fold_features(
            sentences, types, self.folds, seed, lambda lexicon: partial(match_features, lexicon)
        )
        features = learnt(count_mentions(sentences, index).lexicon(types), rows)
        return features, [features.numbered(each) for each in rows]


def _examples(
    tagger: "Tagger", sentences: Sequence[Sentence], features: list[list[list[int]]] | None
) -> "list[Example]":
    """The sentences as they are learnt, by the features given (out of fold) or none."""
    from chmed_ner.methods.tagger.training import Example

    number = {tag: at for at, tag in enumerate(tagger.labels)}
    given = features or [[[] for _ in sentence.text] for sentence in sentences]
    return [
        Example(
            tagger.reader(sentence.model_text),
            found,
            tuple(number[tag] for tag in tags_of(sentence.entities, len(sentence.text))),
        )
        for sentence, found in zip(sentences, given, strict=True)
    ]
