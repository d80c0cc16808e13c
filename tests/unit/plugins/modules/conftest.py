# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several tests of modules share: one from its options to the end of main()."""

from __future__ import annotations

import pytest


class EndedError(Exception):
    """The module has ended."""


class FakeModule:
    """Stands for AnsibleModule, and for what it makes."""

    def __init__(self, params, *, check_mode):
        self.params, self.check_mode, self.warnings = params, check_mode, []

    def __call__(self, **_options):
        return self

    def warn(self, text):
        self.warnings.append(text)

    def exit_json(self, **result):
        raise EndedError({"failed": False, "warnings": self.warnings, **result})

    def fail_json(self, **result):
        raise EndedError({"failed": True, **result})


@pytest.fixture
def end_of(monkeypatch):
    """Give what runs a module with its defaults and other ``options``, and returns what it said at its end."""

    def go(module, *, check_mode=False, **options):
        known = {name: option.get("default") for name, option in module.ARGUMENTS.items()}
        monkeypatch.setattr(module, "AnsibleModule", FakeModule({**known, **options}, check_mode=check_mode))
        with pytest.raises(EndedError) as ended:
            module.main()
        return ended.value.args[0]

    return go
