"""What identifies the user's files: kind and content in order, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.helpers.digests import digest_by_hand

from polyprune.corpora.outside_files import content_digest, unchanged_while_read
from polyprune.errors import UserError


def test_kind_and_content_count_in_order_and_neither_name_nor_place(tmp_path: Path):
    one, two = tmp_path / "one.txt", tmp_path / "two.jsonl.gz"
    one.write_bytes(b"one")
    two.write_bytes(b"two")
    assert content_digest([one, two]) == digest_by_hand([".txt", one, ".jsonl.gz", two])
    found = {content_digest([one, two]), content_digest([two, one]), content_digest([one])}
    assert len(found) == 3
    (tmp_path / "moved").mkdir()
    moved = one.rename(tmp_path / "moved" / "another.txt")
    os.utime(moved)
    assert content_digest([moved, two]) in found
    assert content_digest([moved.rename(tmp_path / "one.jsonl"), two]) not in found
    two.write_bytes(b"twp")
    assert content_digest([tmp_path / "one.jsonl", two]) not in found


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path):
    file = tmp_path / "a.txt"
    file.write_text("one")
    with unchanged_while_read([file]) as origin:
        pass
    assert origin == {"dataset": "files", "revision": digest_by_hand([".txt", file])}
    with pytest.raises(UserError, match=r"a\.txt changed while being read; run again"), unchanged_while_read([file]):
        file.write_text("two")
