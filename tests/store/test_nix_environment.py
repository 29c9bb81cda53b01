from __future__ import annotations

import json
from pathlib import Path

from devenv.store.layout import Layout
from devenv.store.nix_environment import prepare, variables


def test_every_place_is_named_and_beside_the_store(layout: Layout) -> None:
    found = variables(layout)
    assert found["NIX_STORE_DIR"] == layout.store
    assert found["NIX_STATE_DIR"] == layout.state
    assert found["NIX_LOG_DIR"] == layout.log
    assert found["NIX_CONF_DIR"] == layout.configuration
    assert found["NIX_REMOTE"] == "local"
    assert found["NIX_USER_CONF_FILES"] == ""


def test_the_settings_name_a_registry_that_exists(layout: Layout) -> None:
    prepare(layout)
    prepare(layout)
    settings = dict(line.split(" =", 1) for line in variables(layout)["NIX_CONFIG"].splitlines())
    registry = json.loads(Path(settings["flake-registry"].strip()).read_text())
    assert registry == {"flakes": [], "version": 2}
    assert settings["build-users-group"] == settings["substituters"] == ""
