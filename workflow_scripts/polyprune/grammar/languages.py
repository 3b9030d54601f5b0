"""The languages of the demo, and what data sets call those that they call otherwise."""

DEMO_LANGUAGES = ("ar", "de", "en", "es", "ru", "sw", "zh")
"""Languages for which the demo corpus has sentence templates; the paper's seven."""

FLORES_CODES = {
    "ar": "arb_Arab",
    "de": "deu_Latn",
    "en": "eng_Latn",
    "es": "spa_Latn",
    "ru": "rus_Cyrl",
    "sw": "swh_Latn",
    "zh": "zho_Hans",
}
"""Names in FLORES, and so in Belebele, which is made of its passages."""

MKQA_CODES = {"zh": "zh_cn"}
"""Names in MKQA; all others are called as here. `evaluation/mkqa/utils.py`, which must run alone, repeats it."""
