"""Text, prompts and benchmarks of the user's: read as they are, or refused with file and line."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.battery import REFUSED, Cases, contents, examples
from tests.helpers.parallel_prompts import row

from polyprune.artifacts.benchmark_data import load_manifest
from polyprune.artifacts.corpus import SPLITS, load_documents
from polyprune.artifacts.prompts import load_prompts
from polyprune.corpora.from_files import read_documents
from polyprune.corpora.outside_files import matching_files
from polyprune.settings.text import FilesCorpus, FileShares, FilesPrompts
from polyprune.stages.collect_documents import collect_documents
from polyprune.stages.collect_prompts import collect_prompts
from polyprune.stages.register_benchmark import register_benchmark

Judge = Callable[[str], Cases]


def parquet(**columns: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def lines(*records: Any) -> bytes:
    return "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records).encode()


GZIPPED = gzip.compress(lines({"text": "a"}, {"text": "b"}), mtime=0)
TEXTS: list[tuple[str, bytes, Any]] = [
    ("plain.txt", b"a\nb\n", ["a", "b"]),
    ("no-end.txt", b"a\nb", ["a", "b"]),
    ("crlf.txt", b"a\r\nb\r\n", ["a", "b"]),
    ("bom.txt", b"\xef\xbb\xbfa\nb\n", ["a", "b"]),
    ("blank-lines.txt", b"\n \na\n\t\n\nb\n\n", ["a", "b"]),
    ("separators.txt", "a\u2028b\x0bc\x0cd\x1ce\x85f\n".encode(), ["a\u2028b\x0bc\x0cd\x1ce\x85f"]),
    ("return.txt", b"a\rb\n", ["a\rb"]),
    ("nul.txt", b"a\x00b\n", REFUSED),
    ("emoji.txt", "👩‍👩‍👧 ü ç\n".encode(), ["👩‍👩‍👧 ü ç"]),
    ("decomposed.txt", "u\u0308\n".encode(), ["u\u0308"]),
    ("long.txt", b"x" * 10**6 + b"\n", ["x" * 10**6]),
    ("empty.txt", b"", REFUSED),
    ("blank.txt", b"\n \n", REFUSED),
    ("latin.txt", b"a\nK\xf6ln\n", REFUSED),
    ("utf16.txt", "a\nb\n".encode("utf-16"), REFUSED),
    ("cut.txt", "a\nü".encode()[:-1], REFUSED),
    ("surrogate.txt", b"\xed\xa0\x80\n", REFUSED),
    ("overlong.txt", b"\xc0\xaf\n", REFUSED),
    ("name.text", b"a\n", REFUSED),
    ("name", b"a\n", REFUSED),
    ("capital.TXT", b"a\n", REFUSED),
    ("plain.jsonl", lines({"text": "a"}, {"text": "b"}), ["a", "b"]),
    ("other-fields.jsonl", lines({"n": 1, "text": "a", "x": [1]}), ["a"]),
    ("bom.jsonl", b"\xef\xbb\xbf" + lines({"text": "a"}), ["a"]),
    ("line-in-text.jsonl", lines({"text": "a\nb"}), ["a\nb"]),
    ("separator.jsonl", lines({"text": "a\u2028b"}), ["a\u2028b"]),
    ("escaped.jsonl", b'{"text": "\\u00fc\\ud83d\\ude00"}\n', ["ü😀"]),
    ("blank-one.jsonl", lines({"text": " "}, {"text": "a"}), ["a"]),
    ("half-pair.jsonl", b'{"text": "\\ud83d"}\n', REFUSED),
    ("array.jsonl", b'[{"text": "a"}]\n', REFUSED),
    ("number.jsonl", b"12\n", REFUSED),
    ("null.jsonl", lines({"text": None}), REFUSED),
    ("number-in-field.jsonl", lines({"text": 12}), REFUSED),
    ("list-in-field.jsonl", lines({"text": ["a"]}), REFUSED),
    ("other-field.jsonl", lines({"body": "a"}), REFUSED),
    ("one-lacks-it.jsonl", lines({"text": "a"}, {"body": "b"}), REFUSED),
    ("cut.jsonl", b'{"text": "a"}\n{"text": "b', REFUSED),
    ("two-in-a-line.jsonl", b'{"text": "a"} {"text": "b"}\n', REFUSED),
    ("deep.jsonl", b'{"text": ' + b"[" * 100_000 + b"\n", REFUSED),
    ("digits.jsonl", b'{"text": "a", "n": ' + b"9" * 5000 + b"}\n", REFUSED),
    ("single-quotes.jsonl", b"{'text': 'a'}\n", REFUSED),
    ("latin.jsonl", b'{"text": "K\xf6ln"}\n', REFUSED),
    ("plain.jsonl.gz", GZIPPED, ["a", "b"]),
    ("two-members.jsonl.gz", GZIPPED + GZIPPED, ["a", "b", "a", "b"]),
    ("cut.jsonl.gz", GZIPPED[:-9], REFUSED),
    ("head.jsonl.gz", GZIPPED[:5], REFUSED),
    ("bit.jsonl.gz", GZIPPED[:-6] + bytes([GZIPPED[-6] ^ 1]) + GZIPPED[-5:], REFUSED),
    ("garbage-after.jsonl.gz", GZIPPED + b"garbage", REFUSED),
    ("not-zipped.jsonl.gz", lines({"text": "a"}), REFUSED),
    ("empty.jsonl.gz", b"", REFUSED),
    ("plain.parquet", parquet(text=["a", "b"]), ["a", "b"]),
    ("more-columns.parquet", parquet(text=["a"], n=[1]), ["a"]),
    ("dictionary.parquet", parquet(text=pa.array(["a", "b"]).dictionary_encode()), ["a", "b"]),
    ("null.parquet", parquet(text=["a", None]), REFUSED),
    ("numbers.parquet", parquet(text=[1, 2]), REFUSED),
    ("bytes.parquet", parquet(text=[b"a"]), REFUSED),
    ("other-column.parquet", parquet(body=["a"]), REFUSED),
    ("no-rows.parquet", parquet(text=pa.array([], pa.string())), REFUSED),
    ("cut.parquet", parquet(text=["a"])[:-20], REFUSED),
    ("empty.parquet", b"", REFUSED),
    ("text.parquet", b"a\nb\n", REFUSED),
]
"""Name and bytes of a file, and its documents."""


@pytest.mark.parametrize(("name", "data", "right"), TEXTS, ids=[name for name, *_ in TEXTS])
def test_a_text_file(cases: Judge, name: str, data: bytes, right: Any, tmp_path: Path):
    file = tmp_path / name
    file.write_bytes(data)
    says = (str(file),) if right is REFUSED else ()
    cases("text files").judge(name, lambda: read_documents(file, "text"), right, says=says, sure=right is not REFUSED)


@pytest.mark.parametrize("name", ["x.txt", "x.jsonl"])
def test_any_bytes_in_a_text_file(cases: Judge, name: str, tmp_path: Path):
    """Beside the reader, Python's own decoding of the whole file."""
    judge, file = cases("text files, any bytes"), tmp_path / name

    def plainly(data: bytes) -> Any:
        text = data.removeprefix(b"\xef\xbb\xbf").decode()
        if name.endswith(".txt"):
            return [line.rstrip("\r") for line in text.split("\n") if line.strip()]
        found = [json.loads(line)["text"] for line in text.split("\n") if line.strip()]
        return [document for document in found if document.strip()]

    @examples(300, 30)
    @given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: lines({"text": text}) + text.encode()))
    def attempt(data: bytes) -> None:
        file.write_bytes(data)
        try:
            right = plainly(data) or REFUSED
        except (ValueError, TypeError, KeyError, AttributeError):
            right = REFUSED
        judge.judge(data, lambda: read_documents(file, "text"), right)

    attempt()


NAMES = [
    *("a b", "[2024]", "q?", "st*r", "quote'", 'double"', "ü", "u\u0308"),
    *("-dash", "a;b", "$HOME", "{x}", "#1", "tab\t", "%20"),
]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names_of_files_and_folders_are_names(cases: Judge, name: str, tmp_path: Path):
    """A file that is there is taken by its name, and nothing beside it."""
    folder = tmp_path / name
    folder.mkdir()
    for file in (f"{name}.txt", "other.txt", "2.txt", "q1.txt"):
        (folder / file).write_text(f"{file}\n")
    judge = cases("paths")
    one = str(folder / f"{name}.txt")
    judge.judge(name, lambda: [str(file) for file in matching_files([one], "de")], [one], sure=True)
    rest = str(folder / "oth*.txt")
    judge.judge(name, lambda: [file.name for file in matching_files([rest], "de")], ["other.txt"], sure=True)
    judge.judge(name, lambda: matching_files([str(folder)], "de"), says=("is a folder",))
    judge.judge(name, lambda: matching_files([str(folder / "no.txt")], "de"), says=("nothing matches",))


SHARES = [(0, 0.5, 0.5), (0.5, 0.25, 0.25), (0, 0.01, 0.99), (0, 0.99, 0.01), (0.98, 0.01, 0.01), (0.1, 0.2, 0.7)]


@pytest.mark.parametrize("shares", SHARES, ids=str)
@pytest.mark.parametrize("n", [1, 2, 3, 10, 100])
def test_few_documents_are_cut_by_shares_or_refused(cases: Judge, shares: tuple[float, ...], n: int, tmp_path: Path):
    file, output = tmp_path / "de.txt", tmp_path / "out" / "de.parquet"
    file.write_text("".join(f"{number}\n" for number in range(n)))
    train, calibration, evaluation = shares
    cut = FileShares(train=train, calibration=calibration, evaluation=evaluation)
    corpus = FilesCorpus(kind="files", files={"de": str(file)}, field="text", shares=cut)

    def collected() -> list[int]:
        collect_documents(corpus, "de", output, {})
        splits = [load_documents(output, split) for split in SPLITS]
        assert sorted(int(document) for split in splits for document in split) == list(range(n))
        return [len(split) for split in splits]

    by_hand = [round(n * train), round(n * (train + calibration)) - round(n * train)]
    by_hand.append(n - sum(by_hand))
    right = by_hand if all(by_hand[1:]) else REFUSED
    cases("text files").judge((shares, n), collected, right, says=("bring more text",) if right is REFUSED else ())
    assert output.exists() == (right is not REFUSED)


GOOD = [row("b", 1), row("a", 2)]
ASKED = [("a#2", "On a.\nQ2?"), ("b#1", "On b.\nQ1?")]
PROMPTS: list[tuple[str, bytes, Any]] = [
    ("good", lines(*GOOD), ASKED),
    ("crlf", lines(*GOOD).replace(b"\n", b"\r\n"), ASKED),
    ("bom", b"\xef\xbb\xbf" + lines(*GOOD), ASKED),
    ("numbers as text", lines(*(each | {"question_number": str(each["question_number"])} for each in GOOD)), ASKED),
    (
        "separator in text",
        lines(row("a", 2, question="Q\u2028?"), GOOD[0]),
        [("a#2", "On a.\nQ\u2028?"), ("b#1", "On b.\nQ1?")],
    ),
    ("twice", lines(*GOOD, GOOD[0]), REFUSED),
    ("too few", lines(GOOD[0]), REFUSED),
    ("empty", b"", REFUSED),
    ("a list", lines(GOOD), REFUSED),
    ("a text", lines("a", "b"), REFUSED),
    ("a number", lines(1, 2), REFUSED),
    ("no link", lines({key: value for key, value in GOOD[0].items() if key != "link"}, GOOD[1]), REFUSED),
    ("passage null", lines(row("a", 1, flores_passage=None), GOOD[0]), REFUSED),
    ("passage a number", lines(row("a", 1, flores_passage=3), GOOD[0]), REFUSED),
    ("passage empty", lines(row("a", 1, flores_passage=" "), GOOD[0]), REFUSED),
    ("question a list", lines(row("a", 1, question=["x"]), GOOD[0]), REFUSED),
    ("number a word", lines(row("a", 1, question_number="one"), GOOD[0]), REFUSED),
    ("number null", lines(row("a", 1, question_number=None), GOOD[0]), REFUSED),
    ("number true", lines(row("a", 1, question_number=True), GOOD[0]), REFUSED),
    ("number a fraction", lines(row("a", 1, question_number=1.5), GOOD[0]), REFUSED),
    ("latin", lines(*GOOD).replace(b"On", b"\xd6n"), REFUSED),
    ("cut", lines(*GOOD)[:-9], REFUSED),
    ("deep", b"[" * 100_000, REFUSED),
    ("an array over all", json.dumps(GOOD).encode(), REFUSED),
]
"""What a file of prompts holds, and the prompts that are asked."""


@pytest.mark.parametrize(("name", "data", "right"), PROMPTS, ids=[name for name, *_ in PROMPTS])
def test_a_file_of_prompts(cases: Judge, name: str, data: bytes, right: Any, tmp_path: Path):
    file, output = tmp_path / "eng.jsonl", tmp_path / "out" / "en.parquet"
    file.write_bytes(data)
    prompts = FilesPrompts(kind="files", files={"en": str(file)}, n_prompts=2)

    def collected() -> list[tuple[str, str]]:
        collect_prompts(prompts, "en", output, {})
        return [(each.item, each.text) for each in load_prompts(output)]

    says = (str(file),) if right is REFUSED else ()
    cases("prompt files").judge(name, collected, right, says=says, sure=right is not REFUSED)
    assert output.exists() == (right is not REFUSED)


DATA = ["org/arc", "org/other"]
DAMAGES: dict[str, Callable[[Path], Any]] = {
    "a byte more": lambda root: (root / "org/arc/test.jsonl").write_bytes(b"{}\n "),
    "a bit": lambda root: (root / "org/arc/test.jsonl").write_bytes(b"{|\n"),
    "empty": lambda root: (root / "org/arc/test.jsonl").write_bytes(b""),
    "gone": lambda root: (root / "org/arc/test.jsonl").unlink(),
    "another name": lambda root: (root / "org/arc/test.jsonl").rename(root / "org/arc/tests.jsonl"),
    "one more": lambda root: (root / "org/arc/more.jsonl").write_bytes(b""),
    "the other": lambda root: (root / "org/other/test.jsonl").write_bytes(b"[]\n"),
    "in a folder": lambda root: (root / "org/arc/x").mkdir() or (root / "org/arc/x/y.jsonl").write_bytes(b"1"),
    "moved": lambda root: (root / "org").rename(root / "gro"),
    "a file in its place": lambda root: (root / "org").rename(root / "gro") or (root / "org").write_bytes(b""),
}
"""What happens to a benchmark's files after they were registered."""


@pytest.mark.parametrize("name", DAMAGES)
def test_changed_data_of_a_benchmark_are_refused(cases: Judge, name: str, tmp_path: Path):
    for data in DATA:
        (tmp_path / "data" / data).mkdir(parents=True)
        (tmp_path / "data" / data / "test.jsonl").write_bytes(b"{}\n")
    manifest = tmp_path / "results" / "benchmarks" / "hub" / "arc.json"
    register_benchmark(DATA, str(tmp_path / "data"), manifest, {})
    judge, before = cases("benchmark files"), contents(tmp_path / "results")
    judge.judge(name, lambda: sorted(load_manifest(manifest).revisions), DATA, sure=True)
    DAMAGES[name](tmp_path / "data")
    judge.judge(name, lambda: load_manifest(manifest), says=(str(tmp_path),))
    assert contents(tmp_path / "results") == before


@pytest.mark.parametrize("root", ["no", "", ".", "a-file", "empty", "~nobody/x"])
def test_a_wrong_folder_of_benchmarks_leaves_no_manifest(
    cases: Judge, root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("a-file").touch()
    Path("empty").mkdir()
    cases("benchmark files").judge(root, lambda: register_benchmark(DATA, root, tmp_path / "out" / "arc.json", {}))
    assert not (tmp_path / "out" / "arc.json").exists()
