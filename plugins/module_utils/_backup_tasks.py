# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn what a system's description says of backups into what the modules are told. Private to this collection.

No task holds a secret: ``secrets`` says by which name each is kept, see the filter ``health_secrets``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._health_things import (
    elsewhere,
    given,
    is_contained,
    place_of,
    thing,
)
from ansible_collections.runbook.ops.plugins.module_utils._reach import reach_of_database, reach_of_mongodb

System = Mapping[str, Any]
Task = dict[str, Any]
MAKERS = ("pg_backup", "mongodb_backup", "redis_backup", "file_backup")
DUMPS = ("pg_backup", "mongodb_backup")  # of a database: alone it has the name of its item
# In the order of a run: what is new is proven and copied before anything old goes. A bucket's first copy may take longer than a job may.
MODULES = (*MAKERS, "backup_verify", "backup_offsite", "backup_rotate", "bucket_sync")
FILES = "files"
# What a store can be asked for, by the ways in which people write it; after aws:kms: follows the key.
SPELLINGS = {**dict.fromkeys(("aes256", "sses3"), "AES256"), **dict.fromkeys(("awskms", "ssekms"), "aws:kms")}
STRANGE = re.compile(r"[^A-Za-z0-9._-]+")


class TaskError(ValueError):
    """A description that cannot be turned into tasks; the message names the variable."""


def plan_tasks(system: System, module: str | None = None, names: Sequence[str] = ()) -> list[Task]:
    """Return what is to be done for the backups that the collection makes on this host, in order.

    :param system: the description as the role system returns it
    :param module: only what this one does
    :param names: only what belongs to these items of ``ops_backups``; all of them where it is empty
    :raises TaskError: the description cannot be followed, or there is no such module or item.
    """
    if module is not None and module not in MODULES:
        raise TaskError(f"there is no module {module!r} that takes part in a backup: use one of {', '.join(MODULES)}")
    items = [one for one in system.get("backups") or [] if one.get("made_by") == "collection"]
    known = [item["name"] for item in items]
    scripted = {task["job"] for task in plan_looks(system)}
    for name in names:
        if name not in known and name not in scripted:
            raise TaskError(
                f"no item of ops_backups that the collection makes on this host is called {name!r}: {_listed(known)}"
            )
    tasks = [task for item in items for task in _of_item(system, item)]
    _refuse_doubles(tasks)
    return [task for task in tasks if module in (None, task["module"]) and (not names or task["job"] in names)]


def plan_looks(system: System, names: Sequence[str] = ()) -> list[Task]:
    """Return what is to be looked at of the backups that scripts make on this host: nothing else is done with them."""
    return [
        _task(
            item,
            "backup_verify",
            item["name"],
            {"directory": item["directory"], "pattern": item["pattern"], **given(max_age=item.get("max_age_seconds"))},
            {},
        )
        for item in system.get("backups") or []
        if item.get("made_by") != "collection" and item.get("pattern") and (not names or item["name"] in names)
    ]


def _of_item(system: System, item: Mapping[str, Any]) -> list[Task]:
    made = [*_databases(system, item), *_redis(system, item), *_files(item)]
    mirrors = list(_mirrors(system, item))
    if not made and not mirrors:
        raise TaskError(
            f"ops_backups {item['name']!r} names no databases, redis, files or buckets: there is nothing to back up"
        )
    for task in made:
        task["set"] = _set_of(item, task["name"], alone=len(made) == 1 and task["module"] in DUMPS)
        task["options"] = {
            "directory": item["directory"],
            "set": task["set"],
            **given(compression=item.get("compression"), encryption=given(**(item.get("encryption") or {})) or None),
            **task["options"],
        }
    return [
        *made,
        *(_verification(system, item, task) for task in made),
        *(copy for task in made if item.get("offsite") for copy in _copies(system, item, task)),
        *_rotations(item, made),
        *mirrors,
    ]


def _databases(system: System, item: Mapping[str, Any]) -> Iterable[Task]:
    for name in item.get("databases") or []:
        database = _find(system, "databases", name, item)
        secret = thing("database", database) if database.get("password") else None
        if database.get("engine") == "mongodb":
            options = {"database": name, **reach_of_mongodb(system, database)}
            yield _task(item, "mongodb_backup", name, options, given(password=secret))
            continue
        options = {"database": name, **reach_of_database(system, database), **given(jobs=item.get("jobs"))}
        yield _task(item, "pg_backup", name, options, given(login_password=secret))


def _redis(system: System, item: Mapping[str, Any]) -> Iterable[Task]:
    for name in item.get("redis") or []:
        server = _find(system, "redis", name, item)
        place = place_of(system, server) if is_contained(system, server) else given(host=server.get("host"))
        options = {"name": name, **place, **given(port=server.get("port"), user=server.get("user"))}
        yield _task(
            item, "redis_backup", name, options, {"password": thing("redis", server)} if server.get("password") else {}
        )


def _files(item: Mapping[str, Any]) -> Iterable[Task]:
    if item.get("files"):
        options = {"paths": list(item["files"]), "exclude": list(item.get("exclude") or [])}
        yield _task(item, "file_backup", FILES, options, {})


def _verification(system: System, item: Mapping[str, Any], made: Task) -> Task:
    """Return the look at a set.

    The host by itself restores as a test what it can: nothing that is encrypted, for it has no key.
    """
    age = (item.get("drill") or {}).get("max_age_seconds")
    options = {"directory": item["directory"], "set": made["set"], **given(max_age=item.get("max_age_seconds"))}
    secrets: Mapping[str, str] = {}
    if made["module"] == "mongodb_backup":
        database = _find(system, "databases", made["name"], item)
        reach = reach_of_mongodb(system, database)
        options.update({f"login_{key}" if key in ("host", "port", "user") else key: reach[key] for key in reach})
        secrets = {f"login_{key}": name for key, name in made["secrets"].items()}
    if made["module"] == "pg_backup":
        secrets = made["secrets"]
        database = _find(system, "databases", made["name"], item)
        schema = database.get("schema") or "public"
        tables = [table if "." in table else f"{schema}.{table}" for table in database.get("tables") or []]
        canaries = [database["canary"]] if database.get("canary") else []
        options.update(reach_of_database(system, database), tables=tables, canaries=canaries)
    if age is not None and not item.get("encryption"):
        options.update(drill=True, drill_max_age=age)
    task = _task(item, "backup_verify", made["name"], options, secrets)
    return {**task, "set": made["set"], "drill_seconds": age}


def _copies(system: System, item: Mapping[str, Any], made: Task) -> list[Task]:
    """Return the copy of a set, and what the rules let go there, where there are rules."""
    wanted = item["offsite"]
    bucket = _find(system, "buckets", wanted["bucket"], item, path="offsite.bucket")
    missing = [key for key in ("access_key", "secret_key") if not bucket.get(key)]
    if missing:
        raise TaskError(
            f"ops_backups {item['name']!r}.offsite.bucket is {bucket['name']!r}: that one of ops_buckets has no {missing[0]}"
        )
    keep = given(**(wanted.get("keep") or {}))
    options = {
        "directory": item["directory"],
        "set": made["set"],
        **{key: bucket[key] for key in ("bucket", "region")},
        **given(endpoint=bucket.get("endpoint"), prefix=wanted.get("prefix") or bucket.get("prefix")),
        **encryption_of(bucket),
        **({"keep": keep} if keep else {}),
    }
    secrets = {key: f"{thing('bucket', bucket)}:{key}" for key in ("access_key", "secret_key")}
    states = ("copied", "pruned") if keep else ("copied",)
    return [
        {**_task(item, "backup_offsite", made["name"], {**options, "state": state}, secrets), "set": made["set"]}
        for state in states
    ]


def encryption_of(bucket: Mapping[str, Any]) -> dict[str, str]:
    """Return what a store is asked to encrypt with; nothing where it is not to be asked.

    :raises TaskError: the description says what no store can be asked for.
    """
    said = bucket.get("encryption") or ""
    if not said:
        return {}
    method, key = ("aws:kms", said[8:]) if said.startswith("aws:kms:") else (said, "")
    method = SPELLINGS.get(re.sub(r"[^a-z0-9]", "", method.lower()), "")
    if not method:
        raise TaskError(
            f"ops_buckets {bucket['name']!r}.encryption is {said!r}: write AES256, aws:kms or aws:kms:<key>, or leave it out where "
            "the storage encrypts by itself"
        )
    return {"server_side_encryption": method, **given(kms_key_id=key or None)}


def _mirrors(system: System, item: Mapping[str, Any]) -> Iterable[Task]:
    """Return the copies of buckets to their mirrors."""
    for name in item.get("buckets") or []:
        bucket = _find(system, "buckets", name, item)
        mirror = bucket.get("mirror")
        if not mirror:
            raise TaskError(
                f"ops_backups {item['name']!r}.buckets names {name!r}: that one of ops_buckets has no mirror, so nothing says where to "
                "copy it"
            )
        ends = {"source": bucket, "target": _find(system, "buckets", mirror, item)}
        options: dict[str, Any] = {"name": name, **encryption_of(ends["target"])}
        secrets = {}
        for side, one in ends.items():
            options[side] = {
                **{key: one[key] for key in ("bucket", "region")},
                **given(endpoint=one.get("endpoint"), prefix=one.get("prefix")),
            }
            for key in ("access_key", "secret_key"):
                if not one.get(key):
                    raise TaskError(f"ops_buckets {one['name']!r} has no {key}, so {name!r} cannot be mirrored")
                secrets[f"{side}.{key}"] = f"{thing('bucket', one)}:{key}"
        yield _task(item, "bucket_sync", name, options, secrets)


def _rotations(item: Mapping[str, Any], made: Sequence[Task]) -> list[Task]:
    """Return one rotation for each set; the old files of a script count with the one set that takes their place."""
    shared = {
        "directory": item["directory"],
        "keep": given(**item["keep"]),
        **given(
            min_size=item.get("min_size_bytes"),
            max_age=item.get("max_age_seconds"),
            minimum_verified=item.get("keep_verified"),
        ),
    }
    tasks = []
    for task in made:
        pattern = given(pattern=item.get("pattern")) if len(made) == 1 else {}
        options = {**shared, **pattern, "set": task["set"]}
        tasks.append({**_task(item, "backup_rotate", task["name"], options, {}), "set": task["set"]})
    if item.get("pattern") and len(made) > 1:
        options = {key: value for key, value in shared.items() if key != "minimum_verified"}
        tasks.append(_task(item, "backup_rotate", item["pattern"], {**options, "pattern": item["pattern"]}, {}))
    return tasks


def _task(item: Mapping[str, Any], module: str, name: str, options: Mapping[str, Any], secrets: Any) -> Task:
    return {
        "job": item["name"],
        "module": module,
        "name": name,
        "set": None,
        "options": dict(options),
        "secrets": dict(secrets),
    }


def _set_of(item: Mapping[str, Any], name: str, *, alone: bool) -> str:
    text = item["name"] if alone else f"{item['name']}-{name}"
    return STRANGE.sub("-", text).strip("-._") or "backup"


def _find(
    system: System, part: str, name: str, item: Mapping[str, Any], *, path: str | None = None
) -> Mapping[str, Any]:
    here = [*(system.get(part) or []), *elsewhere(system, part)]
    for one in here:
        if one["name"] == name:
            return one
    raise TaskError(
        f"ops_backups {item['name']!r}.{path or part} names {name!r}: ops_{part} has none of this name on this host; "
        f"{_listed([one['name'] for one in here])}"
    )


def _listed(names: Sequence[str]) -> str:
    return f"known are {', '.join(sorted(names))}" if names else "there is none at all"


def _refuse_doubles(tasks: Sequence[Task]) -> None:
    """Refuse two things that would share one set of backups.

    :raises TaskError: there are such.
    """
    seen: dict[tuple[str, str], Task] = {}
    for task in tasks:
        if task["module"] in MAKERS:
            key = (task["options"]["directory"], task["set"])
            other = seen.setdefault(key, task)
            if other is not task:
                raise TaskError(
                    f"ops_backups {task['job']!r} ({task['name']}) and {other['job']!r} ({other['name']}) would both write the "
                    f"set {task['set']} in {key[0]}: rename one of them"
                )


def with_secrets(task: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, Any]:
    """Return the options of ``task`` with the secrets that belong to it; the name of one with a dot is that of an option in an option.

    :raises TaskError: one is not there.
    """
    lacking = sorted(name for name in task["secrets"].values() if name not in secrets)
    if lacking:
        raise TaskError(f"the secret {lacking[0]} is missing: describe it, or take it out of the description")
    found = dict(task["options"])
    for key, name in task["secrets"].items():
        outer, dot, inner = key.partition(".")
        found[outer] = {**found[outer], inner: secrets[name]} if dot else secrets[name]
    return found
