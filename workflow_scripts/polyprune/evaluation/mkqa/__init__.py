"""MKQA as a task folder of the harness: see README.md. The YAML files and `utils.py` work without this package."""

from pathlib import Path

from polyprune.evaluation.mkqa.utils import ASKED, questions_in

FOLDER = Path(__file__).parent

__all__ = ["ASKED", "FOLDER", "questions_in"]
