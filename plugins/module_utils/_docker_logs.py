# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Docker is told about the logs of containers, in its daemon.json. Private to this collection."""

from __future__ import annotations

import json
import re

DRIVERS = ("json-file", "local")  # the ones that keep files, and know these two options
UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
TRUE = ("1", "t", "true")  # as Go reads them
SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgt]?)i?b?", re.IGNORECASE)


def bounded(text: str, *, max_size_bytes: int, max_files: int) -> str:
    """Return the text of daemon.json with these limits; the same text where it has them, however it writes them.

    :param text: what the file holds; empty where there is none
    :param max_size_bytes: size of one file of a container's log
    :raises ValueError: it is no JSON object, or Docker gives logs to another program, or no container would start with it.
    """
    if max_size_bytes < 1:
        raise ValueError("container_logs.max_size of ops_retention is nothing: say how much is kept, such as 10MB")
    try:
        config = json.loads(text) if text.strip() else {}
        driver, options = config.get("log-driver", DRIVERS[0]), config.get("log-opts") or {}
        size, files = options.get("max-size"), options.get("max-file")
    except (ValueError, AttributeError) as exc:
        raise ValueError(f"Docker's daemon.json is not what Docker reads ({exc}): mend it first") from exc
    if driver not in DRIVERS:
        raise ValueError(
            f"Docker gives what containers print to {driver}, which keeps it as long as it is told: "
            "take container_logs out of ops_retention, or log-driver out of daemon.json"
        )
    # Docker takes this at its start, and then starts no container.
    if max_files == 1 and str(options.get("compress", driver == "local")).lower() in TRUE:
        raise ValueError(
            "Docker compresses older files of a log, so it needs two: set container_logs.max_files of ops_retention to 2 or more"
        )
    if _bytes(size) == max_size_bytes and files == str(max_files):
        return text
    # As texts: Docker refuses numbers here.
    limits = {"max-size": str(max_size_bytes), "max-file": str(max_files)}
    return json.dumps({**config, "log-opts": {**options, **limits}}, indent=2) + "\n"


def _bytes(told: object) -> int | None:
    """Return the bytes of a size as Docker reads it, to whom ``10m`` is ten million, and a number that is no text an error."""
    found = SIZE.fullmatch(told) if isinstance(told, str) else None
    return round(float(found[1]) * UNITS[found[2].lower()]) if found else None
