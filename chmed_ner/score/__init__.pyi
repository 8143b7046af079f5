"""What other rooms use of `score`."""

from .answers import Answers as Answers, check_names as check_names
from .breakdowns import (
    ALL as ALL,
    ERROR_KINDS as ERROR_KINDS,
    PAIRED as PAIRED,
    SEEN as SEEN,
    UNSEEN as UNSEEN,
    Breakdown as Breakdown,
    Confusion as Confusion,
    Pairing as Pairing,
    ScoredSentence as ScoredSentence,
    break_down as break_down,
    by_kind as by_kind,
    pairings as pairings,
)
from .metrics import run_metrics as run_metrics
from .official import (
    OfficialScores as OfficialScores,
    score_sentences as score_sentences,
    score_table as score_table,
    scores_json as scores_json,
)
from .planted import FATES as FATES, Planted as Planted, annotated as annotated, plant as plant
from .resampling import (
    Comparison as Comparison,
    Comparisons as Comparisons,
    Counts as Counts,
    Estimate as Estimate,
    bootstrap_f1 as bootstrap_f1,
    compare_counts as compare_counts,
    sentence_counts as sentence_counts,
)
from .spans import span_scores as span_scores, total as total
from .suspicions import (
    SUGGESTION_KINDS as SUGGESTION_KINDS,
    Suggestion as Suggestion,
    suggestion_record as suggestion_record,
    suggestions as suggestions,
)
from .usage import PLAIN as PLAIN, Usage as Usage
