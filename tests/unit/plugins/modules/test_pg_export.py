# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the modules that move rows says what the code takes and returns."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.runbook.ops.plugins.doc_fragments.backup_set import ModuleDocFragment as Encoded
from ansible_collections.runbook.ops.plugins.doc_fragments.postgresql import ModuleDocFragment as Server
from ansible_collections.runbook.ops.plugins.doc_fragments.restore import ModuleDocFragment as Source
from ansible_collections.runbook.ops.plugins.doc_fragments.rows import ModuleDocFragment as Rows
from ansible_collections.runbook.ops.plugins.module_utils import _pg_export, _pg_import
from ansible_collections.runbook.ops.plugins.modules import pg_export, pg_import

SHARED = {
    "runbook.ops.rows": Rows.DOCUMENTATION,
    "runbook.ops.postgresql.server": Server.SERVER,
    "runbook.ops.postgresql.connection": Server.CONNECTION,
    "runbook.ops.restore.source": Source.SOURCE,
    "runbook.ops.backup_set.encoded": Encoded.ENCODED,
}
both = pytest.mark.parametrize(
    ("module", "arguments"),
    [
        pytest.param(pg_export, _pg_export.ARGUMENTS, id="pg_export"),
        pytest.param(pg_import, _pg_import.ARGUMENTS, id="pg_import"),
    ],
)


def options_of(module: Any) -> dict[str, Any]:
    """Return all that is documented of a module's options, by itself and by what it extends."""
    own = yaml.safe_load(module.DOCUMENTATION)
    shared = [yaml.safe_load(SHARED[name]) for name in own["extends_documentation_fragment"] if name in SHARED]
    return {name: option for one in (*shared, own) for name, option in one["options"].items()}


@both
def test_every_option_is_documented_with_its_default(module: Any, arguments: dict[str, Any]) -> None:
    documented = options_of(module)
    assert set(documented) == set(arguments)
    for name, spec in arguments.items():
        for key in ("type", "elements", "default", "choices", "required"):
            assert documented[name].get(key) == spec.get(key), f"{name}: {key}"


@both
def test_suboptions_are_documented(module: Any, arguments: dict[str, Any]) -> None:
    documented = options_of(module)
    for name, spec in arguments.items():
        for inner, option in (spec.get("options") or {}).items():
            said = documented[name]["suboptions"][inner]
            assert {key: said.get(key) for key in option} == option
        assert set(documented[name].get("suboptions") or ()) == set(spec.get("options") or ())


@both
def test_secrets_are_logged_nowhere(module: Any, arguments: dict[str, Any]) -> None:
    assert module.main
    assert all(arguments[name]["no_log"] for name in ("login_password", "identity") if name in arguments)
