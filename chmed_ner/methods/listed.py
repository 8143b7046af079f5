"""What a lexicon makes of word lists: how likely a string that no training entity has is one."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from chmed_ner.data import WordList
from chmed_ner.entities import OUTSIDE, Entry, Lexicon, Sentence, count_mentions

LONGEST_NGRAM = 4
PENALTY = 10.0
"""Inverse of the regression's L2 penalty: of a held-out fifth of HealthNER's 2,375 mention strings
82% get their type (1: 74%, 100: 83%)."""


def with_lists(
    lexicon: Lexicon, lists: Iterable[WordList], sentences: Sequence[Sentence]
) -> Lexicon:
    """The training lexicon of `sentences` and the strings of the lists, by the first that has them.

    Left out are strings that occur in the sentences, but never as an entity. A typed string is as
    probable an entity as those of its list are on average that occur; an untyped one gets type and
    probability from a classifier.
    """
    entries = dict(lexicon.entries)
    for each in lists:
        listed = each.lexicon
        met = count_mentions(sentences, listed)
        new = [s for s in listed.entries if s not in entries and s not in met.occurrences]
        if each.typed:
            shares = [
                met.entities.get(string, Counter())[listed.entries[string].type] / times
                for string, times in met.occurrences.items()
            ]
            share = fmean(shares) if shares else 0.0
            entries |= {string: Entry(listed.entries[string].type, share, share) for string in new}
        else:
            never = [string for string in met.occurrences if string not in lexicon.entries]
            known = {string: entry.type for string, entry in lexicon.entries.items()}
            entries |= guessed(known | dict.fromkeys(never, OUTSIDE), new)
    return Lexicon(entries)


def guessed(known: Mapping[str, str], strings: Sequence[str]) -> dict[str, Entry]:
    """The most likely type of each string but OUTSIDE, and its probability.

    By a logistic regression over the character n-grams of strings whose type is `known`.
    """
    types = sorted(set(known.values()) - {OUTSIDE})
    if not strings or not types:
        return {}
    if len(set(known.values())) < 2:
        return {string: Entry(types[0], 1.0, 1.0) for string in strings}
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(analyzer="char", lowercase=False, ngram_range=(1, LONGEST_NGRAM)),
        LogisticRegression(C=PENALTY, max_iter=1000),
    )
    model.fit([*map(_bounded, known)], [*known.values()])
    places = {type_: list(model.classes_).index(type_) for type_ in types}
    found = {}
    for string, row in zip(
        strings, model.predict_proba([*map(_bounded, strings)]).tolist(), strict=True
    ):
        best = max(types, key=lambda type_: row[places[type_]])
        share = row[places[best]]
        found[string] = Entry(best, share, share)
    return found


def _bounded(string: str) -> str:
    """The string with marks of its ends, so that n-grams tell prefixes and suffixes."""
    return f"\x02{string}\x03"
