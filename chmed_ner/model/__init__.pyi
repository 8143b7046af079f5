"""What other rooms use of `model`."""

from .asking import (
    CHAT as CHAT,
    Answered as Answered,
    Generator as Generator,
    LoadedModel as LoadedModel,
    Reply as Reply,
    Request as Request,
    Streaming as Streaming,
    Wrapping as Wrapping,
    cut_at_stop as cut_at_stop,
    messages as messages,
    wrapping as wrapping,
)
from .checkpoint.gguf import check_sha256 as check_sha256, gguf_directory as gguf_directory
from .checkpoint.gguf_source import (
    copy_data as copy_data,
    fetch_gguf as fetch_gguf,
    gguf_place as gguf_place,
    join_installed as join_installed,
)
from .checkpoint.hardware import (
    QUANTIZATIONS as QUANTIZATIONS,
    SPLIT as SPLIT,
    check_kind as check_kind,
    kind_of as kind_of,
    torch_device as torch_device,
    torch_dtype as torch_dtype,
    weight_bytes as weight_bytes,
)
from .checkpoint.loading import (
    load_causal_lm as load_causal_lm,
    load_encoder as load_encoder,
    load_encoder_tokenizer as load_encoder_tokenizer,
    load_model as load_model,
    load_tokenizer as load_tokenizer,
)
from .decoding.automaton import Place as Place, State as State, TokenAutomaton as TokenAutomaton
from .decoding.greedy import GreedyGenerator as GreedyGenerator
from .decoding.local import (
    TOLERANCE as TOLERANCE,
    LocalGenerator as LocalGenerator,
    may_be_packed as may_be_packed,
    misfit_told as misfit_told,
)
from .decoding.spelling import written_stretches as written_stretches
from .decoding.writing import GuidedWriter as GuidedWriter
from .kernels.adapters import fused_layers_in as fused_layers_in
from .kernels.attention import attend as attend
from .kernels.head import Candidates as Candidates, head_loss as head_loss
from .kernels.packing import causal_mask as causal_mask
from .kernels.replacing import attention_replaced as attention_replaced
from .original.known import refuse_look_alikes as refuse_look_alikes
