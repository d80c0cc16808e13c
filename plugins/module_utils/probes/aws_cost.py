# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account at AWS costs, by its Cost Explorer: last month, this one, by service. Private to this collection."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import datetime, timezone
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _aws_cost as cost
from ansible_collections.runbook.ops.plugins.module_utils._http import HttpError, ask, split_url
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._s3 import element, sign

SECTION = "Costs"
OPTIONS = {
    "access_key": Option("secret", "name of the access key's id among the secrets", required=True),
    "secret_key": Option("secret", "name of the access key's secret part among the secrets", required=True),
    "endpoint": Option("str", "URL of Cost Explorer", "https://ce.us-east-1.amazonaws.com"),
    "region": Option("str", "region that requests are signed for", "us-east-1"),
    "budget": Option("float", "what it may cost a month"),
    "near_percent": Option(
        "limits", "how much of the budget this month will likely need, from its days so far", limits(100)
    ),
    "address": Option("str", "address or name to connect to instead of the endpoint's host"),
    "verify": Option("bool", "check the server's certificate", True),
    "ca_path": Option("str", "file of certificates to trust instead of the system's store"),
}
MOST_PAGES = 10  # each of them is paid for
MOST_BYTES = 4 * 1024 * 1024


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return what three months cost, by service."""
    end = time.monotonic() + options["timeout_seconds"]
    today = datetime.now(timezone.utc).date()
    answers: list[dict[str, Any]] = []
    token: str | None = None
    try:
        while not answers or token:
            if len(answers) == MOST_PAGES:
                raise ProbeError(
                    f"the answer has more than {MOST_PAGES} pages", "see the bill: so many services are unusual"
                )
            answers.append(_ask(options, cost.question(today, token), end))
            token = answers[-1].get("NextPageToken")
        months, unit = cost.read_answers(answers)
    except HttpError as exc:
        raise ProbeError(str(exc), "see the network, and the provider's status page") from exc
    except cost.CostError as exc:
        raise ProbeError(str(exc), "correct endpoint") from exc
    told = [[month.first.isoformat(), month.services, month.estimated] for month in months]
    return {"months": told, "today": today.isoformat(), "unit": unit}


def _ask(options: dict[str, Any], question: dict[str, Any], end: float) -> dict[str, Any]:
    body = json.dumps(question).encode()
    url = f"{options['endpoint'].rstrip('/')}/"
    try:
        scheme, host, port, _path = split_url(url)
    except ValueError as exc:
        raise ProbeError(str(exc), "correct endpoint") from exc
    headers = sign(
        url,
        host=host if port == (443 if scheme == "https" else 80) else f"{host}:{port}",
        access_key=options["access_key"],
        secret_key=options["secret_key"],
        region=options["region"],
        now=datetime.now(timezone.utc),
        method="POST",
        payload=hashlib.sha256(body).hexdigest(),
        headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": cost.TARGET},
        service="ce",
    )
    door = {key: options[key] for key in ("address", "verify", "ca_path")}
    left = max(0.5, end - time.monotonic())
    answer = ask(
        url, timeout_seconds=left, method="POST", headers=headers, body=body, body_limit_bytes=MOST_BYTES, **door
    )
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        told = None
    told = told if isinstance(told, dict) else {}
    if answer.status != 200:
        # Who checks keys in front of the service may answer in XML.
        told = told or {"__type": element(answer.body.decode("utf-8", "replace"), "Code")}
        raise ProbeError(*cost.refusal(answer.status, told))
    return told


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return last month, this one so far and as it goes on, and the dearest services."""
    return cost.judge_cost(
        measured, options["name"] or "AWS", options["section"], options["budget"], options["near_percent"]
    )
