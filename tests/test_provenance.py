"""Digests change exactly when the bytes of a result might: with code, not with words about it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.helpers.digests import clear_caches

from polyprune import provenance
from polyprune.provenance import canonical_json, code_digest, digest, file_digest, import_closure

SOURCE = provenance.PACKAGE
STAGES = sorted(file.stem for file in (SOURCE / "stages").glob("[a-z]*.py"))

STAGE = '''"""A stage."""
from polyprune.maths.used import helper
from polyprune.settings.load import Thing

LIMIT = 3
"""What the limit is for."""


def do(values: list) -> int:
    """Do it."""
    from polyprune.maths.late import late

    # add up
    text = """a

b  """
    return helper(values) + late() + len(text) + len("# no comment")  # done
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small package of our name, in place of the real one."""
    root = tmp_path / "polyprune"
    files = {
        "__init__.py": "",
        "settings.py": "class Thing: pass\n",
        "log.py": "logger = 1\n",
        "stages/do.py": STAGE,
        "stages/other.py": "from polyprune.maths import used\nimport polyprune.data\nimport os\n",
        "maths/__init__.py": "",
        "maths/used.py": "def helper(values):\n    return sum(values)\n",
        "maths/late.py": "def late():\n    return 1\n",
        "maths/unused.py": "def never():\n    return 1\n",
        "methods/one.py": "from polyprune.maths.unused import never\n",
        "data/__init__.py": '"""Words."""\n',
        "data/words/de.yaml": "hello: hallo\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(provenance, "PACKAGE", root)
    monkeypatch.setattr(provenance, "NEUTRAL", {root / "settings.py", root / "log.py"})
    clear_caches()
    yield root
    clear_caches()


def digest_after(package: Path, file: str, old: str, new: str, stage: str = "do", plugins: tuple[str, ...] = ()) -> str:
    """The stage's digest after an edit, which is taken back."""
    path = package / file
    before = path.read_text(encoding="utf-8")
    assert old in before
    path.write_text(before.replace(old, new, 1), encoding="utf-8")
    clear_caches()
    after = code_digest(stage, *plugins)
    path.write_text(before, encoding="utf-8")
    clear_caches()
    return after


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A stage."""\n', '"""The same stage,\n\nin other words."""\n'),
        ('    """Do it."""\n', ""),
        ('"""What the limit is for."""', '"""Why there is a limit."""'),
        ("    # add up\n", "    # sum\n\n\n"),
        ("  # done", ""),
        ("LIMIT = 3\n", "LIMIT = 3   \n\n"),
    ],
)
def test_words_about_code_do_not_change_the_digest(package: Path, old: str, new: str):
    assert digest_after(package, "stages/do.py", old, new) == code_digest("do")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("stages/do.py", "LIMIT = 3", "LIMIT = 4"),
        ("stages/do.py", "helper(values) +", "helper(values) -"),
        ("stages/do.py", '"# no comment"', '"# a comment"'),
        ("stages/do.py", '"""a\n\nb  """', '"""a\nb  """'),
        ("stages/do.py", '"""a\n\nb  """', '"""a \n\nb  """'),
        ("stages/do.py", "    text =", "    if values: text = 1\n    text ="),
        ("maths/used.py", "sum", "max"),
        ("maths/late.py", "return 1", "return 2"),
    ],
)
def test_every_edit_of_code_changes_the_digest(package: Path, file: str, old: str, new: str):
    assert digest_after(package, file, old, new) != code_digest("do")


def test_code_on_the_line_of_a_docstring_counts(package: Path):
    (package / "maths/used.py").write_text('def helper(values): "Add."; return sum(values)\n')
    clear_caches()
    assert digest_after(package, "maths/used.py", "sum", "max") != code_digest("do")


@pytest.mark.parametrize("file", ["settings.py", "maths/unused.py", "methods/one.py", "data/words/de.yaml"])
def test_what_a_stage_does_not_import_or_is_neutral_does_not_count(package: Path, file: str):
    text = (package / file).read_text()
    assert digest_after(package, file, text, text + "more = 1\n") == code_digest("do")


def test_a_package_counts_with_the_data_files_beside_it(package: Path):
    assert package / "data/words/de.yaml" in import_closure(package / "stages/other.py")
    assert digest_after(package, "data/words/de.yaml", "hallo", "tag", stage="other") != code_digest("other")
    assert digest_after(package, "data/words/de.yaml", "hello", "# hello", stage="other") != code_digest("other")


def test_a_module_named_by_from_package_import_module_counts(package: Path):
    assert digest_after(package, "maths/used.py", "sum", "max", stage="other") != code_digest("other")


def test_a_plugin_counts_with_what_it_imports(package: Path):
    plugin = ("methods/one.py",)
    assert code_digest("do", *plugin) != code_digest("do")
    assert digest_after(package, "maths/unused.py", "1", "2", plugins=plugin) != code_digest("do", *plugin)


def test_renaming_a_module_changes_the_digest(package: Path):
    before = code_digest("do")
    shutil.move(package / "maths/late.py", package / "maths/later.py")
    stage = package / "stages/do.py"
    stage.write_text(stage.read_text().replace("maths.late", "maths.later"))
    clear_caches()
    assert code_digest("do") != before


@pytest.mark.parametrize("stage", STAGES)
def test_every_real_stage_has_a_closure_that_ends_in_real_files(stage: str):
    closure = import_closure(SOURCE / "stages" / f"{stage}.py")
    assert SOURCE / "stages" / f"{stage}.py" in closure
    assert not provenance.NEUTRAL & set(closure)
    assert [file for file in closure if file.parent.name == "stages"] == [SOURCE / "stages" / f"{stage}.py"]


def test_the_closures_of_real_stages_hold_what_they_compute_with():
    closure = import_closure(SOURCE / "corpora" / "from_demo.py")
    phrases = set((SOURCE / "corpora/demo/phrases").glob("*.yaml"))
    assert len(phrases) == 7
    assert phrases < set(closure)
    assert SOURCE / "maths" / "wanda.py" not in import_closure(SOURCE / "stages" / "prune_model.py")
    assert SOURCE / "maths" / "wanda.py" in import_closure(SOURCE / "methods" / "wanda.py")
    assert SOURCE / "maths" / "drift.py" in import_closure(SOURCE / "stages" / "measure_drift.py")


def test_neutral_modules_exist():
    assert all(file.exists() for file in provenance.NEUTRAL)


def test_digests_are_the_same_in_every_process():
    code = (
        "from polyprune.provenance import *; "
        f"print([code_digest(stage) for stage in {STAGES}], canonical_json({{k: 1 for k in {{'a', 'b', 'c', 'd'}}}}))"
    )
    printed = set()
    for seed in ("0", "1"):
        env = {**os.environ, "PYTHONPATH": str(SOURCE.parent), "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
        printed.add(done.stdout)
    assert len(printed) == 1
    assert '{"a":1,"b":1,"c":1,"d":1}' in printed.pop()


def test_canonical_json_is_one_text_for_equal_values():
    assert (
        canonical_json({"b": [1, 2.5, None], "a": {"z": True, "ä": "语"}})
        == '{"a":{"z":true,"ä":"语"},"b":[1,2.5,null]}'
    )
    assert canonical_json({"a": 1, "b": 2}) == canonical_json({"b": 2, "a": 1})
    assert canonical_json((1, 2)) == canonical_json([1, 2])


@pytest.mark.parametrize(("value", "error"), [(float("nan"), ValueError), ({1}, TypeError), (Path("x"), TypeError)])
def test_canonical_json_refuses_what_has_no_one_text(value: object, error: type[Exception]):
    with pytest.raises(error):
        canonical_json({"a": value})


def test_digest_frames_its_parts():
    assert digest("a", "bc") != digest("ab", "c")
    assert digest("abc") != digest("abc", "")
    assert digest("ä") == digest("ä".encode())
    expected = hashlib.sha256((1).to_bytes(8, "little") + b"a" + (2).to_bytes(8, "little") + b"bc").hexdigest()[:16]
    assert digest("a", b"bc") == expected


def test_file_digest_is_sha256_of_the_bytes(tmp_path: Path):
    (tmp_path / "x").write_bytes(b"abc")
    assert file_digest(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
