# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a system's description says of a cluster that can be brought back to a moment. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.runbook.ops.plugins.module_utils._health_things import is_contained
from ansible_collections.runbook.ops.plugins.module_utils._restore_options import restore_options

CLUSTER = re.compile(r"(\d+)/([A-Za-z0-9_-]+)")
STANZA = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
WEEKLY, NIGHTLY = "Sun *-*-* 01:00:00", "Mon..Sat *-*-* 01:00:00"


def point_in_time_clusters(system: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return where each cluster is, how pgBackRest keeps it, and which services write to it.

    ``repository`` holds the options of pgBackRest as they are called in its configuration; it holds secrets.

    :raises ValueError: one cannot be kept as it is described.
    """
    return [_cluster(system, item) for item in system.get("point_in_time") or []]


def _cluster(system: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    name = item["name"]
    cluster = CLUSTER.fullmatch(item["cluster"])
    if not cluster:
        raise ValueError(f"the cluster of {name} is {item['cluster']!r}: write it as Debian does, such as 15/main")
    if not STANZA.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a stanza: use letters, digits, '-' and '_'")
    databases = _databases(system, item)
    users = [restore_options(system, one["name"]) for one in databases]
    return {
        "name": name,
        "cluster": item["cluster"],
        "data_directory": f"/var/lib/postgresql/{cluster[1]}/{cluster[2]}",
        "config_directory": f"/etc/postgresql/{cluster[1]}/{cluster[2]}",
        "unit": f"postgresql@{cluster[1]}-{cluster[2]}.service",
        "port": item["port"],
        "interval_seconds": int(item["interval_seconds"]),
        "max_age_seconds": item["max_age_seconds"],
        "calendars": {
            "full": (item["full"] or {}).get("calendar") or WEEKLY,
            "diff": (item["diff"] or {}).get("calendar") or NIGHTLY,
        },
        "repository": _repository(system, item),
        "databases": [one["name"] for one in databases],
        "writers": [
            one["name"] for one in system.get("services") or [] if any(one["name"] in user["writers"] for user in users)
        ],
        "unstoppable": sorted({writer for user in users for writer in user["unstoppable"]}),
    }


def _databases(system: Mapping[str, Any], item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the databases of a cluster: those of its port that are on the host itself."""
    return [
        one
        for one in system.get("databases") or []
        if (one.get("engine") or "postgresql") == "postgresql"
        and (one.get("port") or 5432) == item["port"]
        and not is_contained(system, one)
    ]


def _repository(system: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, str]:
    place = item["repository"]
    options = _bucket(system, item, place) if place.get("bucket") else {"path": place["path"]}
    if item.get("passphrase"):
        options.update({"cipher-type": "aes-256-cbc", "cipher-pass": item["passphrase"]})
    options["retention-full"] = str((item["full"] or {}).get("count") or 2)
    options["retention-diff"] = str((item["diff"] or {}).get("count") or 7)
    return {f"repo1-{key}": value for key, value in options.items()}


def _bucket(system: Mapping[str, Any], item: Mapping[str, Any], place: Mapping[str, Any]) -> dict[str, str]:
    buckets = {one["name"]: one for one in system.get("buckets") or []}
    if place["bucket"] not in buckets:
        raise ValueError(
            f"the repository of {item['name']} is in the bucket {place['bucket']!r}, which is none of ops_buckets: "
            f"known are {', '.join(buckets) or 'none'}"
        )
    bucket = buckets[place["bucket"]]
    if not (bucket.get("access_key") and bucket.get("secret_key")):
        raise ValueError(
            f"the bucket {place['bucket']} has no keys: the repository of {item['name']} cannot be kept there"
        )
    region = bucket.get("region") or "us-east-1"
    url = urlsplit(bucket.get("endpoint") or f"https://s3.{region}.amazonaws.com")
    if url.scheme != "https":
        raise ValueError(
            f"the endpoint of the bucket {place['bucket']} is not https, and pgBackRest speaks nothing else"
        )
    prefix = (place.get("prefix") or bucket.get("prefix") or "").strip("/")
    return {
        "type": "s3",
        "path": f"/{prefix}" if prefix else f"/{item['name']}",
        "s3-bucket": bucket["bucket"],
        "s3-endpoint": str(url.hostname),
        "s3-region": region,
        "s3-key": bucket["access_key"],
        "s3-key-secret": bucket["secret_key"],
        "s3-uri-style": "host" if str(url.hostname).endswith(".amazonaws.com") else "path",
        **({"storage-port": str(url.port)} if url.port else {}),
    }
