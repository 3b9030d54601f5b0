"""Starts that Snakemake would end in a traceback: what to type is said, and right starts are let pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from polyprune.running.command_line import require_start

TEN_TO_THE_NINTH = b"a: &a [%s]\n" % b",".join([b"x"] * 10) + b"".join(
    b"%c: &%c [%s]\n" % (name, name, b",".join([b"*%c" % (name - 1)] * 10)) for name in b"bcdefghi"
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "Snakefile").touch()
    for name in ("mine.yaml", "studies/quick.yaml"):
        (tmp_path / name).write_text("studies: {}\n", encoding="utf-8")
    (tmp_path / "anchors.yaml").write_text("a: &a {b: 1}\nc: {<<: *a, d: *a}\ne: [*a, *a]\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        "--profile local -n results/table1.parquet",
        "--configfile mine.yaml -- results/mine/table1.parquet",
        "--configfile mine.yaml studies/quick.yaml --cores 2 results/mine/table1.parquet",
        "results/mine/table1.parquet --configfile mine.yaml",
        "--configfile=mine.yaml -- quick",
        "--configfile anchors.yaml -- quick",
    ],
)
def test_right_starts_pass(words: str, here: Path):
    require_start(words.split(), here)


@pytest.mark.parametrize(
    ("words", "typed"),
    [
        ("-n --configfile mine.yaml results/x/table1.md", "-n --configfile mine.yaml -- results/x/table1.md"),
        ("--configfile mine.yaml mine -n", "-n --configfile mine.yaml -- mine"),
        ("--configfile mine.yaml results/a.json -n -- quick", "-n --configfile mine.yaml -- results/a.json quick"),
    ],
)
def test_a_target_that_an_option_swallows_is_put_behind_dashes(words: str, typed: str, here: Path):
    with pytest.raises(SystemExit, match="--configfile takes every word") as ended:
        require_start(words.split(), here)
    assert str(ended.value).endswith(f"snakemake {typed}")
    require_start(typed.split(), here)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"studies:\n\tmine: {}\n", "bad.yaml:2: no YAML: found character '\\t' that cannot start any token; indent"),
        (b"studies: *mine\n", "bad.yaml:1: no YAML: found undefined alias 'mine'\n"),
        (b"", "bad.yaml has no sections: begin as studies/mix.yaml does"),
        (b"- a\n", "bad.yaml has no sections"),
        (b"studies: {m\xfcller: 1}\n", "bad.yaml is not in UTF-8"),
        (b"a: 1\nstudies: &a\n  mine: *a\n", "bad.yaml:2: what the anchor here names holds an alias of itself"),
        (b"studies: &a [*a]\n", "bad.yaml:1: what the anchor here names holds an alias of itself: it has no end"),
        (b"models: &a\n  <<: *a\n", "bad.yaml:1: what the anchor here names holds an alias of itself: it has no end"),
        (TEN_TO_THE_NINTH, "bad.yaml has more than 1,000,000 entries with what its aliases stand for: use fewer"),
        (b"a: " + b"[" * 9999 + b"]" * 9999, "bad.yaml is nested too deeply to be read"),
        (b"studies: !!python/name:os.system\n", "bad.yaml:1: no YAML: could not determine a constructor for the tag"),
        (b"studies: 2026-13-45\n", "bad.yaml: no YAML: month must be in 1..12"),
        (b'studies: "a\x07"\n', "bad.yaml: no YAML: unacceptable character #x0007"),
    ],
)
def test_a_file_that_is_no_configuration_is_named_with_its_line(content: bytes, said: str, here: Path):
    (here / "bad.yaml").write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        require_start(["--configfile", "mine.yaml", "bad.yaml", "--", "quick"], here)
    assert f"{ended.value}\n".startswith(f"error: {said}")


@pytest.mark.parametrize("words", ["--cores 0 quick", "-c 0 -- quick", "-c0 quick", "--cores=0 quick"])
def test_no_cores_are_refused_because_snakemake_would_wait_for_ever(words: str, here: Path):
    with pytest.raises(SystemExit, match="type --cores 1 or more"):
        require_start(words.split(), here)
    require_start(words.replace("0", "10").split(), here)


def test_a_file_that_is_not_there_is_named_with_the_nearest(here: Path):
    with pytest.raises(SystemExit) as ended:
        require_start(["--configfile", "studies/quik.yaml", "--", "quick"], here)
    said = f"error: --configfile names studies/quik.yaml, which is not in {here}; did you mean studies/quick.yaml?"
    assert str(ended.value) == said
    with pytest.raises(SystemExit, match=r"names no file; there are anchors\.yaml, mine\.yaml, studies/quick\.yaml"):
        require_start(["--configfile", "--", "quick"], here)


def test_another_folder_is_told_where_to_go(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(here / "studies")
    with pytest.raises(SystemExit, match=f"start in the repository's folder: cd {here}"):
        require_start(["--profile", f"{here}/local", "-n"], here)
    require_start(["--snakefile", f"{here}/Snakefile"], here)


def test_a_home_in_which_nothing_can_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "Snakefile").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    require_start(["results/x"], tmp_path)
    assert not [*(tmp_path / "cache").iterdir()]
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    with pytest.raises(SystemExit, match=r"^error: nothing .* /dev/null/cache: Not a .*: export XDG_CACHE_HOME=/path$"):
        require_start(["results/x"], tmp_path)


def test_a_folder_with_braces_is_refused_as_snakemake_fills_them(here: Path):
    with pytest.raises(SystemExit, match=r"takes braces .* give .*/br\{a\}ce another name$"):
        require_start(["-n"], here / "br{a}ce")
