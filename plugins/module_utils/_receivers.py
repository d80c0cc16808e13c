# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets a message: what modules that send one are asked alike, and what the senders take. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SMTP: dict[str, Any] = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "default": 25},
    "tls": {"type": "str", "choices": ["none", "starttls", "tls"], "default": "none"},
    "user": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "ca_path": {"type": "path"},
}
ARGUMENTS: dict[str, Any] = {
    "email": {"type": "str"},
    "email_from": {"type": "str"},
    "smtp": {"type": "dict", "options": SMTP},
    "webhook_url": {"type": "str", "no_log": True},
    "webhook_format": {"type": "str", "choices": ["json", "slack"], "default": "json"},
    "webhook_ca_path": {"type": "path"},
}


def receivers(options: Mapping[str, Any], *, hostname: str) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return the settings of each receiver that is described, and the secrets of all of them."""
    channels: dict[str, dict[str, Any]] = {}
    secrets: dict[str, str] = {}
    if options["email"]:
        smtp = options["smtp"] or None
        channels["email"] = {
            "to": options["email"],
            "from": options["email_from"] or f"root@{hostname}",
            "smtp": {key: smtp[key] for key in ("host", "port", "tls", "user", "ca_path")} if smtp else None,
        }
        if smtp and smtp["password"]:
            secrets["smtp_password"] = smtp["password"]
    if options["webhook_url"]:
        channels["webhook"] = {"format": options["webhook_format"], "ca_path": options["webhook_ca_path"]}
        secrets["webhook_url"] = options["webhook_url"]
    return channels, secrets
