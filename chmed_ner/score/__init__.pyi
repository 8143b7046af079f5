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
from .calibration import RAW as RAW, Calibration as Calibration, fit_calibration as fit_calibration
from .confidence import (
    Bin as Bin,
    Judged as Judged,
    JudgedSentence as JudgedSentence,
    average_precision as average_precision,
    bins as bins,
    brier_score as brier_score,
    calibration_error as calibration_error,
    entities_of as entities_of,
    judge as judge,
)
from .metrics import run_metrics as run_metrics
from .official import (
    OfficialScores as OfficialScores,
    score_sentences as score_sentences,
    score_table as score_table,
    scores_json as scores_json,
)
from .planted import FATES as FATES, Planted as Planted, annotated as annotated, plant as plant
from .promises import (
    CERTAINTY as CERTAINTY,
    PRECISION as PRECISION,
    RECALL as RECALL,
    Promise as Promise,
    best_promise as best_promise,
    kept_of as kept_of,
    promise as promise,
)
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
