"""The lock in envs/lock/: imports are declared, declarations are locked, and what is installed is what is locked."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "envs/lock"
OURS = {"polyprune", "snakemake_logger_plugin_ledger", "tests", "benchmarks"}
BY_SNAKEMAKE = {"snakemake-interface-executor-plugins"}
"""Comes with it, and is what executors are made of."""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def declared(*extras: str) -> list[Requirement]:
    """The libraries of these extras; of all users where none is named."""
    lines = [line for extra in extras for line in EXTRAS[extra]]
    if not extras:
        lines = [*PROJECT["dependencies"], *EXTRAS["slurm"], *EXTRAS["report"], *EXTRAS["cpu"]]
    return [Requirement(line) for line in lines]


@cache
def locked(part: str) -> dict[str, Requirement]:
    """The lines of a part of the lock, by their names."""
    text = (LOCK / f"{part}.txt").read_text(encoding="utf-8").replace("\\\n", "")
    entries = [line.split(" --hash=")[0] for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    return {canonicalize_name(entry.name): entry for entry in map(Requirement, entries)}


def applies(requirement: Requirement, extra: str = "") -> bool:
    environment = {key: str(value) for key, value in default_environment().items()}
    return requirement.marker is None or requirement.marker.evaluate(environment | {"extra": extra})


def required(roots: list[Requirement]) -> set[str]:
    """All that these libraries want on this machine, by what the installed ones say of themselves."""
    found: set[tuple[str, str]] = set()
    waiting = [requirement for requirement in roots if applies(requirement)]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        pin = next(pins[name] for part in ("torch", "users", "developers") if name in (pins := locked(part)))
        (version,) = (specifier.version for specifier in pin.specifier)
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement}, but {pin} is locked"
        for extra in {"", *requirement.extras} - {extra for known, extra in found if known == name}:
            found.add((name, extra))
            wanted = map(Requirement, distribution(name).requires or [])
            waiting += [each for each in wanted if applies(each, extra)]
    return {name for name, _ in found}


def imported(*patterns: str) -> set[str]:
    """Distributions that files of ours import, anywhere in them."""
    modules: set[str] = set()
    for file in (file for pattern in patterns for file in ROOT.glob(pattern)):
        text = file.read_text(encoding="utf-8")
        if file.suffix != ".py":
            modules |= set(re.findall(r"^ *(?:from|import) (\w+)", text, flags=re.MULTILINE))
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.split(".")[0])
    known = packages_distributions()
    others = modules - OURS - sys.stdlib_module_names - {"_typeshed"}
    return {canonicalize_name(known[module][0]) for module in others}


def names(requirements: list[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements}


def test_what_the_package_and_the_rules_import_is_declared_for_users_and_nothing_else_is():
    found = imported("workflow_scripts/**/*.py", "rules/*.smk", "Snakefile")
    assert found - BY_SNAKEMAKE == names([*declared(), *declared("cuda")])


def test_what_tests_import_is_locked():
    found = imported("tests/**/*.py", "benchmarks/*.py")
    assert found <= {*locked("users"), *locked("developers"), "torch"}


def test_the_lock_has_what_the_declared_libraries_want_and_nothing_else():
    users = {name for name, pin in locked("users").items() if applies(pin)}
    assert required(declared()) == users | {"torch"}
    developers = {name for name, pin in locked("developers").items() if applies(pin)}
    assert required(declared("dev", "docs")) - users == developers


def test_what_is_installed_is_what_is_locked():
    for part in ("torch", "users", "developers"):
        for name, pin in locked(part).items():
            if applies(pin):
                installed = distribution(name).version
                assert pin.specifier.contains(installed, prereleases=True), (
                    f"{name} {installed} is installed, not {pin}"
                )


def test_users_get_no_tool_of_developers_and_no_version_is_locked_twice():
    parts = [locked(part) for part in ("torch", "users", "cuda", "developers")]
    assert not names(declared("dev", "docs")) & set(locked("users"))
    shared = {name for index, pins in enumerate(parts) for name in pins for other in parts[:index] if name in other}
    assert shared == {"triton"} and locked("cuda")["triton"] == locked("developers")["triton"]
    assert all(str(pins["triton"].specifier) == "==3.7.1" for pins in parts[2:])


def test_every_version_is_one_and_has_a_digest():
    for part in ("torch", "users", "cuda", "developers"):
        text = (LOCK / f"{part}.txt").read_text(encoding="utf-8")
        entries = re.findall(r"^[a-z0-9].*\n(?: +--hash=sha256:[0-9a-f]{64}.*\n)+", text, flags=re.MULTILINE)
        assert len(entries) == len(locked(part)) > 0
        assert all(str(pin.specifier).startswith("==") for pin in locked(part).values())


def test_a_new_lock_is_a_new_conda_environment():
    """Snakemake knows an environment by its files, among which the lock is not."""
    text = b"".join(file.read_bytes() for file in sorted(LOCK.glob("*.txt")))
    deployed = (ROOT / "envs/polyprune.post-deploy.sh").read_text(encoding="utf-8")
    assert f"# Lock: {hashlib.sha256(text).hexdigest()[:16]}\n" in deployed, "type: make lock"


@pytest.mark.parametrize(
    ("there", "cuda", "parts"),
    [
        (False, False, ["torch", "users", "developers"]),
        (False, True, ["torch", "users", "cuda", "developers"]),
        (True, False, ["users", "developers"]),
    ],
)
def test_torch_comes_first_and_the_libraries_of_cuda_only_with_a_build_that_wants_them(
    there: bool, cuda: bool, parts: list[str], tmp_path: Path
):
    stand_in = tmp_path / "python"
    asked = f'case "$1" in -c) exit {0 if there else 1};; -) exit {0 if cuda else 1};; esac'
    stand_in.write_text(f'#!/bin/bash\n{asked}\necho "$*" >> {tmp_path}/calls\n')
    stand_in.chmod(0o755)
    subprocess.run([LOCK / "install.sh", stand_in, "developers"], check=True)
    *calls, last = (tmp_path / "calls").read_text().splitlines()
    assert last.startswith("-m compileall "), "what pip was told to leave, each library's files one after another"
    downloads = [call for call in calls if call.startswith("-m pip download ")]
    assert [call.split()[-1] for call in downloads] == ([] if there else ["torch==2.13.0"])
    installs = [call for call in calls if call not in downloads]
    assert all(
        call.startswith("-m pip install ") and " --no-compile --require-hashes --no-deps " in call for call in installs
    )
    assert [Path(call.split()[-1]).stem for call in installs] == parts


def test_developers_tools_are_installed_for_what_needs_them_alone(tmp_path: Path):
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    (tmp_path / "envs").symlink_to(ROOT / "envs")
    text = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z-]+):.*(?:install|developers)\b.*##", text, flags=re.MULTILINE)
    needy = set()
    for target in targets:
        run = subprocess.run(["make", "-n", target], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert "envs/lock/install.sh .venv/bin/python\n" in run.stdout, target
        needy |= {target} if "install.sh .venv/bin/python developers" in run.stdout else set()
    assert needy == {"test", "test-real", "battery", "test-slurm", "check", "docs", "lock"}
    assert {"demo", "answer", "report", "claims", "verify", "outstanding"} <= set(targets)
