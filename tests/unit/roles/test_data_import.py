# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role data_import tells people to type."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLE = Path(__file__).resolve().parents[3] / "roles" / "data_import"


def way_back(tables: list[str], **more: Any) -> str:
    """Return the words that lead back from an import of ``tables``."""
    text = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())["__data_import_way_back"]
    known = {
        "data_import_database": "shop",
        "data_import_way_back_encryption": {},
        "__data_import_result": {"way_back": "/b/shop-before-import_1", "tables": [{"table": one} for one in tables]},
        **more,
    }
    return str(Templar(loader=DataLoader(), variables=known).template(trust_as_template(text)))


@pytest.mark.parametrize("tables", [["public.users"], ['public."Com\'ments"', "crm.log"]], ids=["one", "with quotes"])
def test_only_the_tables_that_were_imported_go_back(tables: list[str]) -> None:
    words = shlex.split(way_back(tables))
    given = [json.loads(one) for one in words if one.startswith("{")]
    assert given == [{"data_import_tables": tables}]
    assert "data_import_backup=/b/shop-before-import_1" in words


@pytest.mark.parametrize(("encryption", "told"), [({}, False), ({"method": "age", "recipients": ["age1x"]}, True)])
def test_that_the_way_back_needs_a_key_is_said(encryption: dict[str, Any], *, told: bool) -> None:
    assert ("data_import_identity" in way_back(["public.users"], data_import_way_back_encryption=encryption)) == told
