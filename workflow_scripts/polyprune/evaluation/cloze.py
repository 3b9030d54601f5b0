"""Prompts of the profile `cloze`: every option as text, after labels in the language of the question.

For models that only continue text, such as the demo's. The labels are the demo's phrases, so this module is imported by
name, where the profile is chosen: benchmarks from the hub do not depend on them.
"""

from __future__ import annotations

from typing import Any

from polyprune.corpora.demo import localize
from polyprune.errors import UserError


def as_cloze(task: str, language: str) -> dict[str, Any]:
    """Prompt and options as plain text in the language's own labels."""
    gap, labels = localize.phrases(language).gap, localize.phrases(language).labels

    def exchange(question: str) -> str:
        return f"{labels['question']}{gap}{{{{{question}}}}}\n{labels['answer']}"

    changes: dict[str, Any] = {"target_delimiter": gap}
    match task.split("_"):
        case ["arc", "easy" | "challenge"] | ["mkqa", _]:
            changes["doc_to_text"] = exchange("question")
        case ["arc", _]:
            changes["doc_to_text"] = exchange("instruction")
        case ["m", "mmlu", _]:
            changes["doc_to_text"] = exchange("instruction")
            changes["doc_to_choice"] = "{{[option_a, option_b, option_c, option_d]}}"
            changes["doc_to_target"] = "{{['A', 'B', 'C', 'D'].index(answer)}}"
        case ["belebele", *_]:
            changes["doc_to_text"] = f"{labels['text']}{gap}{{{{flores_passage}}}}\n{exchange('question')}"
            changes["doc_to_choice"] = "{{[mc_answer1, mc_answer2, mc_answer3, mc_answer4]}}"
        case ["hellaswag", *_]:
            changes["doc_to_text"] = "{{ctx}}"
        case _:
            raise UserError(f"task {task} has no cloze form")
    return changes
