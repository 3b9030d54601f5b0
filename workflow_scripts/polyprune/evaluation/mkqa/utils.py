"""MKQA: which questions are asked, and the official token F1 and exact match, written anew from their description.

    normalise   lower case, ASCII punctuation out, articles of the language out, white space collapsed
    tokens      split at white space; in languages written without it every character is a token (`f1`),
                or not even there (`f1_ws`: what printed Chinese scores near zero imply)
    F1          overlap of the bags of tokens; 1 if both are empty; best over all accepted answers
    EM          equality of the tokens; best over all accepted answers

Runs under a plain harness too (`lm_eval run --include_path`), so it imports nothing of this project.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

KEYS = {"zh": "zh_cn"}
"""Languages that MKQA spells differently."""
LEFT_OUT = ("long_answer", "unanswerable")
"""Answer types without an answer to score: 3,242 of the 10,000 questions; 6,758 stay."""

ASKED = "{{question}}{% if not question.endswith(('?', '؟', '？')) %}?{% endif %}"
"""A question with one question mark, in prompts: some have their own (README.md)."""

_ARTICLES = {
    "en": r"\b(a|an|the)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "ar": r"\sال^|ال",
}
_PER_CHARACTER = {"zh_cn", "zh_hk", "zh_tw", "ja", "th", "km"}
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str, key: str) -> str:
    """The text as it is compared; `key` is a language as MKQA spells it."""
    text = text.lower().translate(_PUNCTUATION)
    if key in _ARTICLES:
        text = re.sub(_ARTICLES[key], " ", text)
    return " ".join(text.split())


def tokens(text: str, key: str, by_character: bool = True) -> list[str]:
    """Tokens of a normalised text."""
    if by_character and key in _PER_CHARACTER:
        return [character for character in text if not character.isspace()]
    return text.split()


def token_f1(prediction: Sequence[str], gold: Sequence[str]) -> float:
    """F1 of the bags of tokens."""
    if not prediction or not gold:
        return float(list(prediction) == list(gold))
    overlap = sum((Counter(prediction) & Counter(gold)).values())
    return 2 * overlap / (len(prediction) + len(gold))


def score(prediction: str, golds: Sequence[str], key: str) -> dict[str, float]:
    """`f1`, `f1_ws` and `em` of one prediction, each its best over the accepted answers."""

    def best(metric: Callable[[list[str], list[str]], float], by_character: bool) -> float:
        given = tokens(normalise(prediction, key), key, by_character)
        return max(metric(given, tokens(normalise(gold, key), key, by_character)) for gold in golds)

    return {"f1": best(token_f1, True), "f1_ws": best(token_f1, False), "em": best(lambda a, b: float(a == b), True)}


def accepted(answers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every text that counts as right: the answers and their aliases."""
    return [text for answer in answers for text in (answer["text"] or "", *(answer.get("aliases") or ()))]


@lru_cache(maxsize=1)
def process_docs(dataset: Any, language: str) -> Any:
    """The questions of one language that can be scored: `id`, `question`, `golds`, `key`, `types`.

    The last result is kept: the harness asks for it at every look at the documents.
    """
    key = KEYS.get(language, language)
    rows = []
    for record in dataset:
        answers = record["answers"][key]
        types = [answer["type"] for answer in answers]
        if not set(types) & set(LEFT_OUT):
            rows.append(
                {
                    "id": str(record["example_id"]),
                    "question": record["queries"][key],
                    "golds": accepted(answers),
                    "types": types,
                    "key": key,
                }
            )
    return type(dataset).from_list(rows)


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Scores of the one generated answer."""
    return score(results[0], doc["golds"], doc["key"])


def questions_in(language: str) -> Callable[[Any], Any]:
    """`process_docs` of one language: the harness hands over the data set and nothing else."""
    return partial(process_docs, language=language)


process_docs_ar = questions_in("ar")
process_docs_de = questions_in("de")
process_docs_en = questions_in("en")
process_docs_es = questions_in("es")
process_docs_ru = questions_in("ru")
process_docs_zh = questions_in("zh")
