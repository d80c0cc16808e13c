# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn the buckets of a description into what copies them to their mirrors, and brings back what was in them. Private to this collection.

Nothing here holds a secret: ``secrets`` says by which name each is kept, see the filter ``health_secrets``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_tasks import encryption_of
from ansible_collections.runbook.ops.plugins.module_utils._health_things import given, thing

System = Mapping[str, Any]
KEYS = ("access_key", "secret_key")


class MirrorError(ValueError):
    """A description that no mirror can be made of; the message names the variable."""


def plan_mirrors(system: System, names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return for each bucket that has a mirror where it is, where its mirror is, and how both are asked.

    :param system: the description as the role system returns it
    :param names: only these of ``ops_buckets``; all that have a mirror where it is empty
    :raises MirrorError: there is no such bucket, or it has no mirror, or one of both has no keys.
    """
    buckets = {bucket["name"]: bucket for bucket in system.get("buckets") or []}
    mirrored = {name: bucket for name, bucket in buckets.items() if bucket.get("mirror")}
    for name in names:
        if name not in mirrored:
            known = f"known are {', '.join(sorted(mirrored))}" if mirrored else "there is none at all"
            raise MirrorError(f"no bucket of ops_buckets with a mirror is called {name!r} on this host: {known}")
    return [_mirror(buckets, bucket) for name, bucket in mirrored.items() if not names or name in names]


def _mirror(buckets: Mapping[str, Any], bucket: Mapping[str, Any]) -> dict[str, Any]:
    mirror = buckets.get(bucket["mirror"])
    if mirror is None:
        raise MirrorError(
            f"ops_buckets {bucket['name']!r}.mirror names {bucket['mirror']!r}: this host knows no such bucket"
        )
    for one in (bucket, mirror):
        missing = [key for key in KEYS if not one.get(key)]
        if missing:
            raise MirrorError(
                f"ops_buckets {one['name']!r} has no {missing[0]}, so {bucket['name']!r} cannot be mirrored"
            )
    return {
        "name": bucket["name"],
        "mirror": mirror["name"],
        "source": _place(bucket),
        "target": _place(mirror),
        "options": {
            **encryption_of(mirror),
            **given(max_age=bucket.get("mirror_max_age_seconds")),
        },
        "secrets": {side: _secrets(one) for side, one in (("source", bucket), ("target", mirror))},
    }


def _place(bucket: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{key: bucket[key] for key in ("bucket", "region")},
        **given(endpoint=bucket.get("endpoint"), prefix=bucket.get("prefix")),
    }


def _secrets(bucket: Mapping[str, Any]) -> dict[str, str]:
    return {key: f"{thing('bucket', bucket)}:{key}" for key in KEYS}
