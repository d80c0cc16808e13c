# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Costs by the protocol of Cost Explorer, against moto: signatures and permissions are checked with botocore's own code."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "campaign"))
from ansible_collections.runbook.ops.plugins.module_utils._aws_cost import months
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError, read_options
from ansible_collections.runbook.ops.plugins.module_utils.probes import aws_cost
from storage import Storage


@pytest.fixture(scope="module")
def server() -> Iterator[Storage]:
    with Storage() as found:
        yield found


def page(last: float, token: str | None = None) -> dict[str, Any]:
    """Return an answer as AWS documents it."""
    earlier, month, _this = months(datetime.now(timezone.utc).date())
    told = {
        "ResultsByTime": [
            {
                "TimePeriod": {"Start": day.isoformat(), "End": "2026-01-01"},
                "Total": {},
                "Groups": [
                    {
                        "Keys": ["Amazon Simple Storage Service"],
                        "Metrics": {"UnblendedCost": {"Amount": str(cost), "Unit": "USD"}},
                    }
                ],
                "Estimated": False,
            }
            for day, cost in ((earlier, 10), (month, last))
        ],
        "GroupDefinitions": [{"Type": "DIMENSION", "Key": "SERVICE"}],
        "DimensionValueAttributes": [],
    }
    return {**told, "NextPageToken": token} if token else told


def asked(server: Storage, access_key: str, secret_key: str, **other: Any) -> dict[str, dict[str, Any]]:
    spec = {"probe": "aws_cost", "endpoint": f"http://127.0.0.1:{server.moto_port}", **other}
    options = read_options({**spec, "access_key": access_key, "secret_key": secret_key}, aws_cost.OPTIONS, where="x")
    checks = aws_cost.judge(aws_cost.measure(options), {**options, "section": "Costs"})
    return {check["id"]: check for check in checks}


def test_costs_are_asked_with_a_signature_and_read_over_several_pages(server: Storage) -> None:
    may = server.make_user("reader", ["ce:GetCostAndUsage"])
    may_not = server.make_user("stranger", ["s3:ListBucket"])
    results = {"results": [page(15, "more"), page(5)]}
    server.send("POST", "/moto-api/static/ce/cost-and-usage-results", json.dumps(results).encode())
    server.check_keys(yes=True)
    try:
        checks = asked(server, *may, budget=18.0, name="AWS")
        assert checks["cost:AWS:last-month"]["value"] == 20
        assert checks["cost:AWS:last-month"]["status"] == "warning"
        assert checks["cost:AWS:service:Amazon Simple Storage Service"]["value"] == 20
        for keys, words in (
            ((may[0], "wrong"), "the secret key is wrong"),
            (("AKIAUNKNOWN", "wrong"), "the access key is not known there"),
            (may_not, "this access key may not"),
        ):
            with pytest.raises(ProbeError, match=words):
                asked(server, *keys)
    finally:
        server.check_keys(yes=False)


def test_who_does_not_answer_is_named(server: Storage) -> None:
    with pytest.raises(ProbeError, match="onnect"):
        asked(server, "k", "s", endpoint="http://127.0.0.1:9")
