"""Our language model against the harness's stock one, on every kind of task and both architectures."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.evaluator import evaluate
from tests.helpers.harness import VOCABULARY, language_model, model_folder, stock_model
from tokenizers.normalizers import Replace

from polyprune.corpora.demo.benchmarks import write_benchmark
from polyprune.errors import UserError
from polyprune.evaluation import scoring
from polyprune.evaluation.generation import Limits
from polyprune.evaluation.packing import pack
from polyprune.evaluation.scoring import score_rows
from polyprune.evaluation.tasks import Prompting, brisk_harness, build_tasks
from polyprune.grammar.benchmarks import GENERATED, columns
from polyprune.model.chat import template_digest

LANGUAGES = {"arc": ["en-e", "zh"], "belebele": ["ar"], "mmlu": ["de"], "hellaswag": ["en", "sw"], "mkqa": ["en"]}
N = 8


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Any:
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks")
    for benchmark in GENERATED:
        write_benchmark(benchmark, folder, N)
    return folder


@pytest.fixture(scope="module", params=["llama", "cohere"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def stock(folder: Path) -> Any:
    return stock_model(folder, batch_size=4)


def run(lm: Any, tasks: Any) -> Any:
    with brisk_harness():
        return evaluate(lm, {"tasks": tasks}, bootstrap_iters=1, apply_chat_template=True)


@pytest.mark.parametrize(
    ("benchmark", "profile"),
    [
        *((benchmark, "current") for benchmark in GENERATED),
        ("arc", "paper"),
        ("belebele", "paper"),
        ("mmlu", "cloze"),
        ("hellaswag", "cloze"),
    ],
)
def test_answers_equal_the_stock_backends(folder: Path, stock: Any, data: Path, benchmark: str, profile: str) -> None:
    """SCORE-1: what the harness computes from all logits."""
    lm = language_model(folder, tokens_per_batch=900)
    for column in columns(benchmark, "demo"):
        if column.name not in LANGUAGES[benchmark]:
            continue

        def tasks() -> Any:
            return build_tasks(column, data, data / "cache", Prompting(profile, "Q: {question}?\nA:", 6))  # noqa: B023

        ours, theirs = run(lm, tasks()), run(stock, tasks())
        for name in ours["samples"]:
            assert ours["results"][name] == theirs["results"][name]
            assert len(ours["samples"][name]) == N
            for mine, other in zip(ours["samples"][name], theirs["samples"][name], strict=True):
                assert mine["arguments"] == other["arguments"]
                if benchmark == "mkqa":
                    assert mine["resps"] == other["resps"]
                    continue
                for (ll, greedy), (stock_ll, stock_greedy) in zip(
                    mine["filtered_resps"], other["filtered_resps"], strict=True
                ):
                    assert ll == pytest.approx(stock_ll, abs=1e-4)
                    assert greedy == stock_greedy


def test_prompts_too_long_lose_their_beginning_as_in_the_stock_backend(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, "llama", max_length=24)
    lm = language_model(folder)
    stock = stock_model(folder, batch_size=2)
    pairs = lm.encode_pairs([("a long question " * 6, "yes"), ("a long question " * 6, "certainly not, my friend")])
    assert all(len(context) + len(option) > 25 for context, option in pairs)
    rows = pack(pairs, lm.max_length)
    assert max(map(len, rows)) <= 24
    expected = stock._loglikelihood_tokens([(("", ""), *pair) for pair in pairs], disable_tqdm=True)
    for found, wanted in zip(score_rows(lm.weights, rows, 2, 100), expected, strict=True):
        assert found.log_likelihood == pytest.approx(wanted[0], abs=1e-4)


def test_a_streamed_model_gives_the_same(folder: Path) -> None:
    whole, streamed = language_model(folder), language_model(folder, tokens_per_batch=64, whole=False)
    pairs = [
        (f"Question: what is {i}?\nAnswer:", option) for i in range(5) for option in (" one", " forty-two", " two")
    ]
    encoded = whole.encode_pairs(pairs)
    rows = pack(encoded, whole.max_length)
    for mine, other in zip(
        score_rows(whole.weights, rows, len(pairs), 2048),
        score_rows(streamed.weights, rows, len(pairs), 64),
        strict=True,
    ):
        assert mine.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-5)
        assert mine.greedy == other.greedy
    prompts = [prompt for prompt, _ in encoded[::3]]
    limits = next(iter(whole._by_limits([_request({"until": ["\n"], "max_gen_toks": 5})])))
    assert whole._generate([], prompts, limits) == streamed._generate([], prompts, limits)


def _request(options: dict[str, Any]) -> Any:
    class Request:
        args = ("", options)

    return Request()


def test_generation_ends_before_a_stop_text_and_at_the_end_token(folder: Path) -> None:
    lm = language_model(folder)
    prompts = lm.encode_pairs([("Question: what is it?\nAnswer:", " x"), ("Where? There. Who?", " x")])
    tokens = [prompt for prompt, _ in prompts]
    free = Limits((), 8, frozenset())
    texts = lm._generate([], tokens, free)
    assert all(len(text) > 4 for text in texts)
    stop = texts[0][3:5]
    expected = [text.split(stop)[0] for text in texts]
    assert expected[0] == texts[0].split(stop)[0] != texts[0]
    assert lm._generate([], tokens, Limits((stop,), 8, frozenset())) == expected
    assert lm._generate([], tokens, Limits((), 8, frozenset(range(VOCABULARY)))) == ["", ""]


def test_a_bos_is_added_where_the_text_has_none(folder: Path) -> None:
    lm = language_model(folder)
    found = lm.encode(["plain", "<s>begun"])
    assert found["plain"][0] == 0 and found["plain"].count(0) == 1
    assert found["<s>begun"][0] == 0 and found["<s>begun"].count(0) == 1


def test_sampling_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="only greedy"):
        language_model(folder)._by_limits([_request({"do_sample": True})])


def test_out_of_memory_halves_the_budget_and_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lm = language_model(folder)
    encoded = lm.encode_pairs([(f"Question {i}: {'why ' * 9}?\nAnswer:", " because" * 3) for i in range(12)])
    rows = pack(encoded, lm.max_length)
    expected = score_rows(lm.weights, rows, len(encoded), 4096)
    hidden = lm.weights.hidden

    def small_gpu(batches: Any) -> Any:
        if max(batch.tokens.numel() for batch in batches) > 200:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return hidden(batches)

    monkeypatch.setattr(lm.weights, "hidden", small_gpu)
    monkeypatch.setattr(scoring.logger, "propagate", True)
    with caplog.at_level("INFO"):
        found = score_rows(lm.weights, rows, len(encoded), 4096)
    first, *_ = caplog.messages
    assert f"going on with {scoring.MOST_ON_CPU // 2} tokens a batch" in first, "it was as many on a CPU"
    assert [score.greedy for score in found] == [score.greedy for score in expected]
    assert [score.log_likelihood for score in found] == pytest.approx(
        [score.log_likelihood for score in expected], abs=1e-5
    )


def test_out_of_memory_with_one_sequence_says_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lm = language_model(folder)

    def full(_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(lm.weights, "hidden", full)
    with pytest.raises(UserError, match=r"single sequence.*engine\.device"):
        score_rows(lm.weights, pack([([1, 2], [3])], 64), 1, 4096)


NEITHER = {"bos_token": None, "eos_token": None, "pad_token": None}


def rewrite(file: Path, **changes: Any) -> None:
    found = {**json.loads(file.read_text(encoding="utf-8")), **changes}
    file.write_text(json.dumps({key: value for key, value in found.items() if value is not None}), encoding="utf-8")


def test_a_model_without_bos_and_eos_answers_what_has_a_prompt(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, "llama")
    rewrite(folder / "tokenizer_config.json", **NEITHER)
    rewrite(folder / "tokenizer.json", post_processor=None)
    lm = language_model(folder)
    ((context, continuation),) = lm.encode_pairs([("Where?", " Here")])
    assert lm.tokenizer.decode(context) == "Where?" and lm.tokenizer.decode(continuation) == " Here"
    assert lm._ends == {1}, "what generation_config.json says"
    with pytest.raises(UserError, match=r"' Here' has no prompt, and the tokenizer of .* no BOS or EOS to begin with"):
        lm.encode_pairs([("", " Here")])


@pytest.mark.parametrize("said", ["x", [1, "x"], 1.5, {"a": 1}, True, [1, -1]])
def test_an_end_that_is_no_token_is_refused(said: Any, tmp_path: Path) -> None:
    """It would never be met, and no generation would end."""
    folder = model_folder(tmp_path, "llama")
    rewrite(folder / "generation_config.json", eos_token_id=said)
    with pytest.raises(UserError, match=r"generation_config\.json: eos_token_id is .*, no token's number"):
        language_model(folder)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for %}", "is no template"),
        ("{{ 1 / 0 }}", r"fails \(ZeroDivisionError"),
        ("{{ raise_exception('no') }}", r"refuses a conversation of user \(no\)"),
    ],
)
def test_a_template_that_takes_no_question_is_named(template: str, message: str, folder: Path) -> None:
    lm = language_model(folder)
    lm.tokenizer.chat_template = template
    with pytest.raises(UserError, match=f"the chat template of .* {message}"):
        lm.apply_chat_template([{"role": "system", "content": "s"}, {"role": "user", "content": "u"}])


def test_an_empty_option_is_refused_with_its_question(folder: Path) -> None:
    with pytest.raises(UserError, match="an option of the question 'Where is it\\?' is empty"):
        language_model(folder).encode_pairs([("Where is it?", " here"), ("Where is it?", "")])


@pytest.mark.parametrize("question", ["Where is it?", ""])
def test_an_option_that_the_tokenizer_drops_is_refused(folder: Path, question: str) -> None:
    """Its log-likelihood would be that of nothing, which is certain."""
    lm = language_model(folder)
    for tokenizer in (lm._tokenizer.plain, lm._tokenizer.stored):
        tokenizer.normalizer = Replace("~", "")
    assert lm.encode_pairs([(question, " here~")])
    with pytest.raises(UserError, match=r"the option '~~' of the question .* is no token of its own"):
        lm.encode_pairs([(question, " here"), (question, "~~")])


def test_answers_beyond_the_models_positions_are_refused(tmp_path: Path) -> None:
    lm = language_model(model_folder(tmp_path, "llama", max_length=24))
    for answer in (24, 300):
        with pytest.raises(UserError, match=rf"an answer of {answer} tokens leaves no room .* 24 positions"):
            lm.generate_until([_asked("Where?", {"until": [], "max_gen_toks": answer})])
    assert lm.generate_until([_asked("Where?", {"until": [], "max_gen_toks": 23})])[0]
    with pytest.raises(UserError, match=r"an answer of \d+ tokens leaves no room"):
        lm.loglikelihood([_asked("Where?", " here and there" * 20)])


def test_prompts_that_lose_their_beginning_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = language_model(model_folder(tmp_path, "llama", max_length=24))
    monkeypatch.setattr(scoring.logger, "propagate", True)
    options = {"until": [], "max_gen_toks": 4}
    with caplog.at_level("INFO"):
        lm.generate_until([_asked(prompt, options) for prompt in ("Where?", "Where is everything now? " * 9)])
    assert "1 of 2 prompts are longer than 20 tokens and lose their beginning" in caplog.text


def _asked(prompt: str, what: Any) -> Any:
    class Request:
        args = (prompt, what)

    return Request()


def test_two_tokenizers_and_tokens_without_embedding_are_refused(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, "llama")
    lm = language_model(folder)
    lm._tokenizer.plain.post_processor = None  # type: ignore[misc]
    with pytest.raises(UserError, match="has two tokenizers, which differ on the questions"):
        lm.encode(["Where?"])
    lm = language_model(folder)
    object.__setattr__(lm._tokenizer, "n_embedded", 9)
    with pytest.raises(UserError, match=r"'Where\?' has token \d+ .* has embeddings for 9 tokens only"):
        lm.encode(["Where?"])


def test_the_day_is_the_same_in_every_question(tmp_path: Path) -> None:
    folder = model_folder(tmp_path, "llama")
    (folder / "chat_template.jinja").write_text("{{ strftime_now('%Y-%m-%d') }} {{ messages[0]['content'] }}")
    lm = language_model(folder)
    assert lm.apply_chat_template([{"role": "user", "content": "x"}]) == "2024-07-26 x"
    assert lm.chat_template_digest == template_digest(lm.tokenizer)
