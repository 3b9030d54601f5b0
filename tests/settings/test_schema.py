"""The schema that editors read is the one of the types."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from tests.helpers.shipped import shipped_config

from polyprune.settings.load import SHIPPED_FILES
from polyprune.settings.schema import config_schema

ROOT = Path(__file__).parents[2]


def test_schema_file_is_in_step_with_the_types() -> None:
    """If red: PYTHONPATH=workflow_scripts python -m polyprune.settings.schema > config.schema.json"""
    assert (ROOT / "config.schema.json").read_text(encoding="utf-8") == config_schema()


def test_the_schema_accepts_our_configuration_and_refuses_a_typo() -> None:
    schema = json.loads(config_schema())
    for file in SHIPPED_FILES:  # each by itself, as editors see them
        jsonschema.validate(yaml.safe_load((ROOT / file).read_text(encoding="utf-8")), schema)
    config = shipped_config()
    jsonschema.validate(config, schema)
    config["compression"]["dampning"] = 0.1
    with pytest.raises(jsonschema.ValidationError, match="dampning"):
        jsonschema.validate(config, schema)
