"""The user's own text: read as it is, or refused with file, line and counts."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from polyprune.corpora.from_files import cut_by_shares, read_documents, split_documents
from polyprune.corpora.outside_files import matching_files
from polyprune.errors import UserError
from polyprune.settings.text import FilesCorpus, FileShares

TEXTS = ["Grüße", "語 语", "مرحبا 🙂"]


def write(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def json_lines(*records: object) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def refusal(file: Path, field: str = "text") -> str:
    with pytest.raises(UserError) as refused:
        read_documents(file, field)
    return str(refused.value)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last_end", [True, False])
def test_text_is_a_document_a_line(tmp_path: Path, end: str, last_end: bool):
    file = write(tmp_path / "a.txt", end.join(TEXTS) + (end if last_end else ""))
    assert read_documents(file, "text") == TEXTS


def test_only_line_feeds_end_a_document_and_its_inner_spaces_stay(tmp_path: Path):
    line = "  a\tb\u2028c\x85d\x0ce  "
    assert read_documents(write(tmp_path / "a.txt", f"{line}\nf\n"), "text") == [line, "f"]


def test_blank_lines_are_no_documents(tmp_path: Path):
    assert read_documents(write(tmp_path / "a.txt", "\n one\n \t \n\r\ntwo\n\n"), "text") == [" one", "two"]


def test_a_byte_order_mark_is_not_text(tmp_path: Path):
    bom = b"\xef\xbb\xbf"
    assert read_documents(write(tmp_path / "a.txt", bom + b"one\ntwo\n"), "text") == ["one", "two"]
    assert read_documents(write(tmp_path / "a.jsonl", bom + b'{"text":"one"}\n'), "text") == ["one"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_json_lines_are_a_document_a_record(tmp_path: Path, name: str):
    lines = (
        json_lines(*({"id": 1, "body": text} for text in TEXTS), {"body": " \n"}) + "\n" + json_lines({"body": "a\nb"})
    )
    data = gzip.compress(lines.encode()) if name.endswith("gz") else lines.encode()
    assert read_documents(write(tmp_path / name, data), "body") == [*TEXTS, "a\nb"]


def test_json_escapes_are_decoded(tmp_path: Path):
    file = write(tmp_path / "a.jsonl", r'{"text": "\u8a9e \ud83d\ude42"}')
    assert read_documents(file, "text") == ["語 🙂"]


def test_parquet_is_a_document_a_row(tmp_path: Path):
    pq.write_table(pa.table({"id": [1, 2, 3, 4], "text": [*TEXTS, " "]}), tmp_path / "a.parquet")
    assert read_documents(tmp_path / "a.parquet", "text") == TEXTS


def test_parquet_categories_are_text(tmp_path: Path):
    pq.write_table(pa.table({"text": pa.array(["b", "a", "b"]).dictionary_encode()}), tmp_path / "a.parquet")
    assert read_documents(tmp_path / "a.parquet", "text") == ["b", "a", "b"]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"", "{file} holds no text: 0 documents, all blank"),
        ("a.txt", b"\n \n", "{file} holds no text: 0 documents, all blank"),
        ("a.jsonl", b'{"text": ""}\n{"text": " "}\n', "{file} holds no text: 2 documents, all blank"),
        ("a.txt", b"ok\nab\xe9c\n", "{file}:2: not UTF-8 (byte 0xe9, column 3); convert it"),
        (
            "a.txt",
            "a\nb\n".encode("utf-16-be"),
            "{file}:1: holds NUL, as UTF-16 and damaged files do; convert to UTF-8",
        ),
        ("a.txt", b"\xff\xfea\x00\n", "{file}:1: not UTF-8 (byte 0xff, column 1); convert it"),
        ("a.jsonl", b'{"text": "ok"}\n\n{"text": \n', "{file}:3: not JSON (Expecting value at column 10)"),
        (
            "a.jsonl",
            b'{"text": "ok"}\n{"id": 1, "body": "x"}\n',
            "{file}:2: no field 'text', the record has: id, body; set the corpus's `field`",
        ),
        ("a.jsonl", b'["text"]\n', "{file}:1: no field 'text', the record has: list; set the corpus's `field`"),
        ("a.jsonl", b'{"text": 5}\n', "{file}:1: field 'text' is int, not text"),
        ("a.jsonl", b'{"text": null}\n', "{file}:1: field 'text' is NoneType, not text"),
        (
            "a.jsonl",
            rb'{"text": "a\ud83d"}',
            "{file}:1: field 'text' has half of a surrogate pair, which is no text; repair or drop it",
        ),
        ("a.csv", b"a,b\n", "{file}: text can be read from .txt, .jsonl, .jsonl.gz, .parquet; rename or convert it"),
        ("a.txt.gz", b"", "{file}: text can be read from .txt, .jsonl, .jsonl.gz, .parquet; rename or convert it"),
    ],
)
def test_bad_files_are_refused_with_the_place(tmp_path: Path, name: str, data: bytes, message: str):
    file = write(tmp_path / name, data)
    assert refusal(file) == message.replace("{file}", str(file))


def test_gzip_files_that_are_not_whole_are_refused(tmp_path: Path):
    whole = gzip.compress(json_lines(*({"text": f"{i} {i**7}"} for i in range(2000))).encode())
    damaged = bytearray(whole)
    damaged[10] = 0x07  # a kind of block that deflate does not have
    for data in (whole[: len(whole) // 2], b"not gzip at all", bytes(damaged)):
        file = write(tmp_path / "a.jsonl.gz", data)
        message = refusal(file)
        assert message.startswith(f"{file} is not a whole gzip file (")
        assert message.endswith("); fetch it again")


def test_bad_parquet_is_refused_with_the_place(tmp_path: Path):
    file = write(tmp_path / "a.parquet", b"PAR1 no table PAR1")
    assert refusal(file).startswith(f"{file} cannot be read as parquet (")
    pq.write_table(pa.table({"id": [1], "body": ["x"]}), file)
    assert refusal(file) == f"{file}: no column 'text', it has: id, body; set the corpus's `field`"
    pq.write_table(pa.table({"text": ["x", None]}), file)
    assert refusal(file) == f"{file}: row 1: column 'text' is NoneType, not text"
    assert refusal(tmp_path / "missing.parquet").startswith(f"{tmp_path / 'missing.parquet'} cannot be read as parquet")


def test_patterns_keep_their_order_and_their_matches_are_sorted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("b.txt", "a.txt", "z.jsonl", "deep/er/c.txt"):
        write(tmp_path / name, "x\n")
    monkeypatch.setenv("HOME", str(tmp_path))

    def names(*patterns: str) -> list[str]:
        return [str(file.relative_to(tmp_path)) for file in matching_files(patterns, "de")]

    assert names(f"{tmp_path}/z*", f"{tmp_path}/*.txt") == ["z.jsonl", "a.txt", "b.txt"]
    assert names("~/**/*.txt") == ["a.txt", "b.txt", "deep/er/c.txt"]
    assert names("~/b.txt", "~/*.txt") == ["b.txt", "a.txt"], "a file that two patterns match comes once"


def test_brackets_in_the_name_of_a_folder_are_no_pattern(tmp_path: Path):
    folder = tmp_path / "texts [old] {1}*"
    folder.mkdir()
    (tmp_path / "texts o").mkdir()
    for name in ("a[1].txt", "a1.txt", "b.txt"):
        write(folder / name, "x\n")
        write(tmp_path / "texts o" / name, "x\n")

    def names(pattern: str) -> list[str]:
        return [str(file.relative_to(tmp_path)) for file in matching_files([pattern], "de")]

    inside = folder.name
    assert names(f"{folder}/*.txt") == [f"{inside}/{name}" for name in ("a1.txt", "a[1].txt", "b.txt")]
    assert names(f"{folder}/a[1].txt") == [f"{inside}/a[1].txt"]
    assert names(f"{folder}/[ab].txt") == [f"{inside}/b.txt"], "what does not exist by its name is a pattern"
    assert names(f"{tmp_path}/texts [o]/b.txt") == ["texts o/b.txt"]


def test_a_folder_is_not_a_text(tmp_path: Path):
    (tmp_path / "texts").mkdir()
    with pytest.raises(UserError) as refused:
        matching_files([f"{tmp_path}/texts"], "sw")
    assert str(refused.value) == (
        f"corpus files for sw: '{tmp_path}/texts' is a folder; name the files in it: {tmp_path}/texts/*.txt"
    )


def test_a_pattern_without_matches_is_refused_with_the_folder_it_was_seen_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.txt", "x\n")
    (tmp_path / "d.txt").mkdir()
    with pytest.raises(UserError) as refused:
        matching_files(["*.txt", "d.*"], "sw")
    assert str(refused.value) == (
        f"corpus files for sw: nothing matches 'd.*' (seen from {tmp_path}); correct the path"
    )


def shares(train: float, calibration: float, evaluation: float) -> FileShares:
    return FileShares(train=train, calibration=calibration, evaluation=evaluation)


@pytest.mark.parametrize(
    ("n", "cut", "sizes"),
    [
        (10, shares(0.5, 0.2, 0.3), (5, 2, 3)),
        (10, shares(0.0, 0.5, 0.5), (0, 5, 5)),
        (3071, shares(0.65, 0.15, 0.20), (1996, 461, 614)),
        (2, shares(0.0, 0.5, 0.5), (0, 1, 1)),
    ],
)
def test_shares_cut_consecutive_runs(n: int, cut: FileShares, sizes: tuple[int, int, int]):
    documents = [str(i) for i in range(n)]
    splits = cut_by_shares(documents, cut, "de")
    assert list(splits) == ["train", "calibration", "evaluation"]
    assert tuple(map(len, splits.values())) == sizes
    assert [*splits["train"], *splits["calibration"], *splits["evaluation"]] == documents


@pytest.mark.parametrize(
    ("n", "cut", "message"),
    [
        (1, shares(0.0, 0.9, 0.1), "1 documents leave none for evaluation (share 0.1)"),
        (2, shares(0.9, 0.05, 0.05), "2 documents leave none for calibration (share 0.05)"),
    ],
)
def test_too_few_documents_for_a_share_are_refused(n: int, cut: FileShares, message: str):
    with pytest.raises(UserError) as refused:
        cut_by_shares(["x"] * n, cut, "de (de.txt)")
    assert str(refused.value) == f"de (de.txt): {message}; bring more text"


def test_all_files_of_a_language_are_joined_in_order_and_cut(tmp_path: Path):
    write(tmp_path / "2.txt", "c\nd\n")
    write(tmp_path / "1.jsonl", json_lines({"text": "a"}, {"text": "b"}))
    corpus = FilesCorpus(
        kind="files",
        field="text",
        files={"de": [str(tmp_path / "1.jsonl"), str(tmp_path / "*.txt")], "en": str(tmp_path / "2.txt")},
        shares=shares(0.25, 0.25, 0.5),
    )
    splits, _ = split_documents(corpus, "de")
    assert splits == {"train": ["a"], "calibration": ["b"], "evaluation": ["c", "d"]}
    (tmp_path / "2.txt").write_text("c\n")
    with pytest.raises(UserError, match=rf"^en \({tmp_path}/2\.txt\): 1 documents leave none for calibration"):
        split_documents(corpus, "en")
