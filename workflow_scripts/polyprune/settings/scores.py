"""`evaluation` and `analysis`: how benchmarks are asked, and how the inside of models is looked at."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from polyprune.settings.base import Commit, Count, Language, Section, distinct


def _asks_a_question(prompt: str) -> str:
    if prompt.count("{question}") != 1 or re.search(r"[{}]", prompt.replace("{question}", "")):
        raise ValueError(f"{prompt!r} must hold {{question}} once and no other braces")
    return prompt


class Mkqa(Section):
    """Closed-book questions: what neither the harness nor the paper says."""

    prompt: Annotated[str, AfterValidator(_asks_a_question)] = Field(
        default="Q: {question}?\nA:", description="a question that ends in a question mark gets no second one"
    )
    max_new_tokens: Count = 32
    commit: Commit = Field(
        default="651b8cc85c407270b024157aff06ee6ab8c4fc6d", description="of github.com/apple/ml-mkqa"
    )


class Evaluation(Section):
    """Benchmarks. Models on the demo corpus have generated ones, of their own profile; all others these."""

    profile: Literal["paper", "current"] = Field(
        default="paper", description="paper: prompts as harness 0.4.3 sent them; current: as the installed harness does"
    )
    data_root: str | None = Field(
        default=None,
        description="folder in the hub's layout to read instead of the hub; data/README.md has a small one in full",
    )
    demo_questions: int = Field(default=60, ge=4, le=89, description="generated, a benchmark and language")
    generation: Literal["own", "vllm"] = Field(
        default="own", description="what generates MKQA's answers; vllm: faster, if installed"
    )
    mkqa: Mkqa = Mkqa()


class Analysis(Section):
    """How the inside of pruned models is looked at."""

    lape_without: Annotated[list[Language], AfterValidator(distinct)] = Field(
        default=[], description="languages of the corpus that are left out of LAPE"
    )
    activation_tokens: Count = Field(
        default=1_000_000,
        description="tokens a language over which neurons, or choices of experts, are counted, in whole sequences; at "
        "most all",
    )
    lape_groups: Count = Field(default=50, description="groups of equally many neurons, by LAPE in the dense model")
