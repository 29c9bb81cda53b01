"""The JSON Schema of devenv.toml, for editors. Made from the table that reads the file.

`devenv.schema.json` beside this module is what `schema_text` returns. It says a little less than devenv
checks: that an alias can be split, for instance.
"""

from __future__ import annotations

import json
from typing import Any

from devenv.config.fields.document import DOCUMENT


def schema() -> dict[str, Any]:
    """A schema of draft 7, which is what editors of TOML know."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "devenv.toml",
        "description": "What a project needs: toolchains, lockfiles, variables, aliases, functions and scripts.",
        **DOCUMENT.schema(),
    }


def schema_text() -> str:
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
