"""`config.schema.json`, for editors, from the types: `python -m polyprune.settings.schema > config.schema.json`."""

import json

from polyprune.settings.config import Settings


def config_schema() -> str:
    """JSON schema of config.yaml."""
    return json.dumps(Settings.model_json_schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(config_schema(), end="")
