# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._drill_index import DRILLS


@pytest.mark.parametrize("kind", sorted(DRILLS))
def test_each_kind_of_backup_has_its_test_restore(kind: str) -> None:
    drill = DRILLS[kind]()
    assert drill.__module__.endswith(f"._drill_{kind.replace('-', '_')}")
    assert drill.__name__ == "drill"
