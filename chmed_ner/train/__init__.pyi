"""What other rooms use of `train`."""

from .answer_loss import AnswerLoss as AnswerLoss
from .checkpoint import KeptEpoch as KeptEpoch
from .learning_regimes import Full as Full, LoRA as LoRA, SavedAdapter as SavedAdapter
from .loop import Training as Training
from .parallel import called as called, joined as joined, processes as processes
from .recipe import (
    WIDTH_STEP as WIDTH_STEP,
    Example as Example,
    Recipe as Recipe,
    encode as encode,
    epoch_batches as epoch_batches,
    padded_parts_of as padded_parts_of,
    shared_prefix as shared_prefix,
)
from .tuned import Tuned as Tuned, causal_lm as causal_lm
from .tuned_weights import adapted_generator as adapted_generator
