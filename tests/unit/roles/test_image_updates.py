# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A renewal that fails goes back and says so; a prediction that fails has nothing to go back from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLE = Path(__file__).parents[3] / "roles/image_updates/tasks"
KNOWN: dict[str, Any] = {
    "__image_updates_image": {"service": "Web", "reference": "nginx:1.27"},
    "__image_updates_wrong": "it has no such file",
}


@pytest.mark.parametrize(
    ("check_mode", "says"),
    [
        (False, "Web did not serve with the newer nginx:1.27, and has its old image again: it has no such file"),
        (True, "Web cannot be made anew with the newer nginx:1.27: it has no such file"),
    ],
    ids=["done", "predicted"],
)
def test_only_what_was_done_is_undone(check_mode: bool, says: str) -> None:
    *back, last = yaml.safe_load((ROLE / "change.yml").read_text())[1]["rescue"]
    templar = Templar(loader=DataLoader(), variables={**KNOWN, "ansible_check_mode": check_mode})
    assert str(templar.template(trust_as_template(last["ansible.builtin.fail"]["msg"]))).strip() == says
    done = [
        task["register"]
        for task in back
        if "register" in task and templar.template(trust_as_template(f"{{{{ {task.get('when', 'true')} }}}}"))
    ]
    assert done == ([] if check_mode else ["__image_updates_returned", "__image_updates_undone"])
