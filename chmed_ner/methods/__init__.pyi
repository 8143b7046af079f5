"""What other rooms use of `methods`."""

from .assessment.assessment import Assessment as Assessment
from .audit import audit_annotations as audit_annotations, out_of_fold as out_of_fold
from .crf import CRF as CRF
from .ensemble.method import Ensemble as Ensemble
from .file import PredictedFiles as PredictedFiles
from .generative.answers import prompt_for as prompt_for
from .generative.method import Generative as Generative, rescore as rescore
from .generative.training import (
    assist as assist,
    assisted as assisted,
    assists as assists,
    check_processes as check_processes,
)
from .lexicon import LexiconMethod as LexiconMethod
from .tagger.method import TaggerMethod as TaggerMethod
