"""What other rooms use of `entities`."""

from .bio import (
    OUTSIDE as OUTSIDE,
    chunks as chunks,
    may_follow as may_follow,
    split_tag as split_tag,
    tags_of as tags_of,
)
from .cutting import (
    across_cuts as across_cuts,
    cut as cut,
    joined as joined,
    pieces as pieces,
)
from .grammar import (
    NOTHING_LOST as NOTHING_LOST,
    Grammar as Grammar,
    Node as Node,
    Step as Step,
    Together as Together,
    check_words as check_words,
    ebnf as ebnf,
    follows as follows,
    sent as sent,
)
from .labels import (
    Label as Label,
    LabelScheme as LabelScheme,
    Script as Script,
    Simplified as Simplified,
    Traditional as Traditional,
    convert_leniently as convert_leniently,
    folded as folded,
    in_script as in_script,
    label_scheme as label_scheme,
    simplified_character as simplified_character,
)
from .lexicon import (
    Entry as Entry,
    Lexicon as Lexicon,
    Match as Match,
    MentionCounts as MentionCounts,
    StringIndex as StringIndex,
    count_mentions as count_mentions,
    entries_as_json as entries_as_json,
    entries_from_json as entries_from_json,
    mention_strings as mention_strings,
)
from .nesting import (
    check_nested as check_nested,
    crosses as crosses,
    in_text_order as in_text_order,
    inside as inside,
    layers as layers,
    nestable as nestable,
    order as order,
    outermost as outermost,
    surest as surest,
)
from .restoration import (
    POLICIES as POLICIES,
    Headline as Headline,
    ceiling as ceiling,
    gold_mentions as gold_mentions,
    restore as restore,
)
from .types import (
    SEPARATOR as SEPARATOR,
    AnnotatedText as AnnotatedText,
    Completion as Completion,
    Demonstration as Demonstration,
    Entity as Entity,
    Logprobs as Logprobs,
    Mention as Mention,
    Prediction as Prediction,
    Scores as Scores,
    Sentence as Sentence,
    Span as Span,
)
