"""What other rooms use of `prompt`."""

from .candidates import (
    CharacterNgrams as CharacterNgrams,
    Drawn as Drawn,
    Pool as Pool,
    Ranking as Ranking,
    pool_of as pool_of,
    read_pool as read_pool,
    write_pool as write_pool,
)
from .demonstrator import ORDERS as ORDERS, Demonstrator as Demonstrator
from .examples import Examples as Examples
from .formats.answer import PROBLEMS as PROBLEMS, Answer as Answer, AnswerFormat as AnswerFormat
from .lexicon_hints import (
    HINTS_FILE as HINTS_FILE,
    add_hints as add_hints,
    reopen_hints as reopen_hints,
)
from .prompt import Prompt as Prompt, TaskPrompt as TaskPrompt
from .reasoning import said as said
from .wording import Definitions as Definitions, Hints as Hints
