"""The hub, without a network: revisions are locked once, refusals say what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import filter_repo_objects
from tests.helpers.hub import LATER, NOW, answer, fill_cache, refuse
from tests.helpers.outside import put

from polyprune import hub
from polyprune.errors import UserError
from polyprune.hub import (
    CHECKPOINT_FILES,
    MODEL_FILES,
    cached_model,
    download_file_of_model,
    download_model,
    explained,
    require_as_named,
    resolve_revision,
)
from polyprune.model.foreign.files import QUANTISATION
from polyprune.model.prompting import GENERATION, JINJA
from polyprune.model.source import CONFIG, INDEX, OF_TEXT, SINGLE

RESPONSE = httpx2.Response(404, request=httpx2.Request("GET", "https://huggingface.co/x"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock file lies in the working directory."""
    monkeypatch.chdir(tmp_path)


def test_the_first_use_locks_todays_commit_and_later_ones_keep_it(monkeypatch: pytest.MonkeyPatch):
    asked = answer(monkeypatch, NOW)
    assert resolve_revision("model", "org/name", None) == NOW
    assert resolve_revision("dataset", "org/web", None) == NOW
    assert Path("revisions.lock").read_text() == (
        f'{{\n  "datasets": {{\n    "org/web": "{NOW}"\n  }},\n  "models": {{\n    "org/name": "{NOW}"\n  }}\n}}\n'
    )
    answer(monkeypatch, LATER)
    assert resolve_revision("model", "org/name", None) == NOW
    assert resolve_revision("model", "org/name", NOW) == NOW
    assert asked == [("model", "org/name"), ("dataset", "org/web")]


def test_a_model_and_a_data_set_of_one_name_are_locked_apart(monkeypatch: pytest.MonkeyPatch):
    answer(monkeypatch, NOW)
    resolve_revision("model", "org/name", None)
    answer(monkeypatch, LATER)
    assert resolve_revision("dataset", "org/name", None) == LATER


def test_a_pinned_commit_is_locked_without_asking(monkeypatch: pytest.MonkeyPatch):
    asked = answer(monkeypatch, LATER)
    assert resolve_revision("model", "org/name", NOW) == NOW
    assert json.loads(Path("revisions.lock").read_text()) == {"models": {"org/name": NOW}}
    assert asked == []


def test_a_pin_that_contradicts_the_lock_is_refused_and_changes_nothing():
    resolve_revision("model", "org/name", NOW)
    before = Path("revisions.lock").read_bytes()
    with pytest.raises(UserError) as refused:
        resolve_revision("model", "org/name", LATER)
    assert str(refused.value) == (
        f"model org/name: config.yaml pins revision {LATER}, revisions.lock says {NOW}; results made so far are of "
        f"{NOW}: remove its line from revisions.lock to start anew with {LATER}"
    )
    assert Path("revisions.lock").read_bytes() == before


def test_a_repository_without_a_commit_is_refused(monkeypatch: pytest.MonkeyPatch):
    answer(monkeypatch, None)
    with pytest.raises(UserError, match=r"the hub names no commit for model org/name; pin `revision` in config\.yaml"):
        resolve_revision("model", "org/name", None)
    assert not Path("revisions.lock").exists()


def test_jobs_that_resolve_at_the_same_time_do_not_lose_each_others_lines(tmp_path: Path):
    code = (
        "import sys; from polyprune.hub import resolve_revision\n"
        "for i in range(10): resolve_revision('model', f'org/{sys.argv[1]}-{i}', 'a' * 40)"
    )
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(job)], cwd=tmp_path, env={"PYTHONPATH": str(Path(hub.__file__).parents[1])}
        )
        for job in range(2)
    ]
    assert [job.wait(timeout=60) for job in jobs] == [0, 0]
    locked = json.loads((tmp_path / "revisions.lock").read_text())["models"]
    assert set(locked) == {f"org/{job}-{i}" for job in range(2) for i in range(10)}


REFUSALS = [
    (
        GatedRepoError("no", response=RESPONSE),
        "model org/name is gated: accept its licence at https://huggingface.co/org/name, then log in with "
        "`hf auth login` (or set HF_TOKEN)",
    ),
    (
        RepositoryNotFoundError("no", response=RESPONSE),
        "model org/name does not exist, or your account cannot see it: check the spelling at "
        "https://huggingface.co/org/name",
    ),
    (
        RevisionNotFoundError("no", response=RESPONSE),
        "model org/name has no such revision; correct config.yaml or revisions.lock",
    ),
    *(
        (
            error,
            "model org/name is not in this machine's cache and the hub is off or out of reach; fetch it once on a "
            "machine with network, or set HF_HOME to a cache that has it",
        )
        for error in (
            LocalEntryNotFoundError("no"),
            OfflineModeIsEnabled("no"),
            httpx2.ConnectError("[Errno -2] Name or service not known"),
            httpx2.ReadTimeout("slow"),
        )
    ),
    (
        HfHubHTTPError("500 Server Error", response=RESPONSE),
        "model org/name could not be fetched from the hub (HfHubHTTPError: 500 Server Error)",
    ),
    (
        OSError(28, "No space left on device"),
        "model org/name could not be fetched from the hub (OSError: [Errno 28] No space left on device)",
    ),
]
USES: list[Callable[[], object]] = [
    lambda: resolve_revision("model", "org/name", None),
    lambda: download_model("org/name", NOW),
    lambda: cached_model("org/name", NOW),
]


@pytest.mark.parametrize(("error", "message"), REFUSALS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("use", USES, ids=["resolve", "download", "cached"])
def test_every_refusal_of_the_hub_says_what_to_do(
    error: Exception, message: str, use: Callable[[], object], monkeypatch: pytest.MonkeyPatch
):
    refuse(monkeypatch, error)
    with pytest.raises(UserError) as refused:
        use()
    assert str(refused.value) == message
    assert refused.value.__cause__ is error


def test_the_page_of_a_data_set_is_named():
    with pytest.raises(UserError, match=r"https://huggingface\.co/datasets/org/web,"), explained("dataset", "org/web"):
        raise GatedRepoError("no", response=RESPONSE)


def test_our_own_bugs_are_not_blamed_on_the_hub():
    with pytest.raises(KeyError), explained("model", "org/name"):
        raise KeyError("width")


def test_no_pickles_and_no_code_are_downloaded():
    files = [
        "model-00001-of-00002.safetensors", "model.safetensors.index.json", "config.json", "tokenizer.json",
        "tokenizer_config.json", "special_tokens_map.json", "generation_config.json", "pytorch_model.bin",
        "modeling_x.py", "original/consolidated.00.pth", "README.md",
    ]  # fmt: skip
    assert list(filter_repo_objects(files, allow_patterns=MODEL_FILES)) == files[:7]


def test_all_that_decides_a_result_is_downloaded():
    """What was left out would count as new once another program has it put into the same cache."""
    of_model = [SINGLE, INDEX, *OF_TEXT, JINJA, GENERATION, "additional_chat_templates/tool_use.jinja"]
    assert list(filter_repo_objects(of_model, allow_patterns=MODEL_FILES)) == of_model
    of_checkpoint = [SINGLE, INDEX, CONFIG, *QUANTISATION]
    assert list(filter_repo_objects(of_checkpoint, allow_patterns=CHECKPOINT_FILES)) == of_checkpoint


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model in the hub's cache, which is all that there is of the hub."""
    for name in ("config.json", "model.safetensors", "pytorch_model.bin"):
        put(Path("model", name), f"content of {name}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return fill_cache(tmp_path / "cache", Path("model"))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_what_is_damaged_in_the_cache_is_not_taken_for_the_hubs(snapshot: Path, name: str):
    assert download_model("org/name", NOW) == snapshot
    blob = (snapshot / name).resolve()
    blob.write_text(f"content of {name}".replace("o", "0"))
    with pytest.raises(UserError) as refused:
        download_model("org/name", NOW)
    assert f"{snapshot / name} is damaged in the hub's cache: " in str(refused.value)
    assert f"rm {blob}, and fetch the file again with hf download org/name --revision {NOW}" in str(refused.value)
    with pytest.raises(UserError, match="is damaged in the hub's cache"):
        download_file_of_model("org/name", NOW, name)


def test_only_what_is_asked_for_is_looked_at(snapshot: Path):
    (snapshot / "pytorch_model.bin").resolve().write_text("damaged")
    assert download_model("org/name", NOW) == snapshot


def test_of_files_that_the_cache_does_not_name_nothing_is_said(snapshot: Path):
    (snapshot / "config.json").unlink()
    put(snapshot / "config.json", "a file in the place of a link")
    require_as_named(snapshot, ["config.json", "model.safetensors"])
