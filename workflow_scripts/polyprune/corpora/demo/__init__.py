"""The demo corpus: parallel template text in seven languages over facts that Babel carries, and questions about them.

No download and no licence to clear: names and facts are CLDR's as Babel ships them (Babel: BSD-3-Clause; CLDR data:
Unicode licence), the sentences are ours. The text is a pure function of language and seed, so the demo study needs
nothing but Babel, pinned: another CLDR release is another corpus.

It is a closed world of sixteen countries, small enough for a model of 0.4 M parameters, and no sample of real language:
perplexities and accuracies on it say nothing about those on web text.
"""

from polyprune.corpora.demo.documents import demo_documents
from polyprune.corpora.demo.questions import (
    Continuation,
    Question,
    Reading,
    continuations,
    knowledge_questions,
    reading_questions,
)

__all__ = [
    "Continuation",
    "Question",
    "Reading",
    "continuations",
    "demo_documents",
    "knowledge_questions",
    "reading_questions",
]
