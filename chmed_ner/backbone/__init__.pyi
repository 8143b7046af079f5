"""What other rooms use of `backbone`."""

from .api.openai_compatible import OpenAICompatible as OpenAICompatible
from .completion_file import (
    CompletionStore as CompletionStore,
    read_completions as read_completions,
)
from .completions import (
    answers as answers,
    faults as faults,
    generate as generate,
    plan_batches as plan_batches,
    requests_for as requests_for,
    stored_completions as stored_completions,
)
from .decoding import Constrained as Constrained, Greedy as Greedy
from .few_shot import FewShot as FewShot
from .gguf import Gguf as Gguf
from .local_models import (
    CausalLM as CausalLM,
    Encoder as Encoder,
    load_causal_lm as load_causal_lm,
    load_tokenizer as load_tokenizer,
)
from .regime import (
    Backbone as Backbone,
    Log as Log,
    Regime as Regime,
    Task as Task,
    ZeroShot as ZeroShot,
    note_weights as note_weights,
)
from .scripted import Scripted as Scripted
