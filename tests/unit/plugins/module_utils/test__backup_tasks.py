# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules are told to back up, from what a system's description says."""

from __future__ import annotations

import json

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._backup_tasks import (
    TaskError,
    encryption_of,
    plan_looks,
    plan_tasks,
    with_secrets,
)

SECRET = "correct-horse"
KEEP = {"within_seconds": 7776000, "last": 7, "daily": None}
DAILY = {
    **{"name": "daily", "made_by": "collection", "directory": "/backups/daily", "pattern": None, "keep": KEEP},
    **{
        "databases": ["shop"],
        "redis": [],
        "files": [],
        "exclude": [],
        "max_age_seconds": 93600,
        "min_size_bytes": 1000,
    },
    **{"jobs": 2, "compression": "auto", "encryption": None, "offsite": None, "drill": None, "keep_verified": 3},
}
DATABASE = {
    **{"engine": "postgresql", "name": "shop", "owner": "shop", "superuser": "postgres", "service": None, "host": None},
    **{"port": 5432, "user": None, "password": None, "schema": "public", "tables": ["orders"], "canary": "SELECT 1"},
}
REDIS = {
    "name": "main cache",
    "service": None,
    "host": "127.0.0.1",
    "port": 6379,
    "user": None,
    "password": SECRET,
    "database": 0,
}
BUCKET = {
    **{"name": "store", "bucket": "shop-backups", "endpoint": None, "region": "eu-central-1", "prefix": "shop/"},
    **{"access_key": "AKIA", "secret_key": SECRET},
}
COMPOSE = {"name": "postgres", "manager": "compose", "project": "shop", "compose_service": "db"}


def system(*items, **parts):
    return {"backups": list(items), "databases": [DATABASE], "redis": [REDIS], "buckets": [BUCKET], **parts}


def item(**changed):
    return {**DAILY, **changed}


def of(module, tasks):
    return [task for task in tasks if task["module"] == module]


def test_one_database_is_dumped_verified_and_rotated_under_the_name_of_its_item():
    tasks = plan_tasks(system(DAILY))
    assert [(task["module"], task["set"]) for task in tasks] == [
        ("pg_backup", "daily"),
        ("backup_verify", "daily"),
        ("backup_rotate", "daily"),
    ]
    assert tasks[0]["options"] == {
        **{"database": "shop", "directory": "/backups/daily", "set": "daily", "jobs": 2, "compression": "auto"},
        **{"run_as": "postgres", "login_port": 5432},
    }
    assert tasks[1]["options"]["tables"] == ["public.orders"]
    assert tasks[1]["options"]["canaries"] == ["SELECT 1"]
    assert tasks[2]["options"]["minimum_verified"] == 3


def test_several_things_get_a_set_each_named_after_item_and_thing():
    tasks = plan_tasks(system(item(redis=["main cache"], files=["/etc/nginx"], exclude=["*.bak"])))
    made = [(task["module"], task["set"]) for task in tasks if task["module"].endswith("_backup")]
    assert made == [
        ("pg_backup", "daily-shop"),
        ("redis_backup", "daily-main-cache"),
        ("file_backup", "daily-files"),
    ]
    assert of("file_backup", tasks)[0]["options"]["exclude"] == ["*.bak"]


MONGODB = {
    **{"engine": "mongodb", "name": "shop", "host": "127.0.0.1", "port": 27017, "user": "admin", "password": SECRET},
    **{"auth_database": "admin", "service": None},
}


@pytest.mark.parametrize(
    ("database", "services", "place"),
    [
        pytest.param({}, [], {"host": "127.0.0.1"}, id="on the host"),
        pytest.param({"service": "mongo"}, [{**COMPOSE, "name": "mongo"}], {"project": "shop", "service": "db"}, id="contained"),
    ],
)  # fmt: skip
def test_a_database_of_mongodb_is_dumped_and_verified_where_it_is(database, services, place):
    described = system(DAILY, databases=[{**MONGODB, **database}], services=services)
    dumped, verified, rotated = plan_tasks(described)
    assert [one["module"] for one in (dumped, verified, rotated)] == [
        "mongodb_backup",
        "backup_verify",
        "backup_rotate",
    ]
    assert {one["set"] for one in (dumped, verified, rotated)} == {"daily"}
    login = {"port": 27017, "user": "admin", "auth_database": "admin"}
    assert {key: dumped["options"][key] for key in (*login, *place)} == {**login, **place}
    assert dumped["secrets"] == {"password": "database:shop"}
    seen = {"login_port": 27017, "login_user": "admin", "auth_database": "admin"}
    seen.update({"login_host" if key == "host" else key: value for key, value in place.items()})
    assert {key: verified["options"][key] for key in seen} == seen
    assert verified["secrets"] == {"login_password": "database:shop"}


def test_buckets_of_an_item_are_mirrored_by_their_own_keys_and_those_of_their_mirrors():
    media = {**BUCKET, "name": "media", "bucket": "shop-media", "prefix": None, "mirror": "store"}
    tasks = plan_tasks(system(item(buckets=["media"]), buckets=[media, {**BUCKET, "encryption": "AES256"}]))
    assert [task["module"] for task in tasks] == ["pg_backup", "backup_verify", "backup_rotate", "bucket_sync"]
    (mirror,) = of("bucket_sync", tasks)
    assert SECRET not in json.dumps(mirror)
    known = {name: name for name in mirror["secrets"].values()}
    assert with_secrets(mirror, known) == {
        "name": "media",
        "server_side_encryption": "AES256",
        "source": {
            **{"bucket": "shop-media", "region": "eu-central-1"},
            **{"access_key": "bucket:media:access_key", "secret_key": "bucket:media:secret_key"},
        },
        "target": {
            **{"bucket": "shop-backups", "region": "eu-central-1", "prefix": "shop/"},
            **{"access_key": "bucket:store:access_key", "secret_key": "bucket:store:secret_key"},
        },
    }
    assert "access_key" not in mirror["options"]["source"]  # the task itself stays without


@pytest.mark.parametrize(
    ("database", "services", "expected"),
    [
        pytest.param({}, [], {"run_as": "postgres", "login_port": 5432}, id="local by peer login"),
        pytest.param(
            {"host": "db.internal"},
            [],
            {"run_as": "postgres", "login_host": "db.internal", "login_port": 5432, "login_user": "shop"},
            id="remote as its owner",
        ),
        pytest.param(
            {"host": "db.internal", "user": "backup"},
            [],
            {"run_as": "postgres", "login_host": "db.internal", "login_port": 5432, "login_user": "backup"},
            id="remote as who is named",
        ),
        pytest.param(
            {"service": "postgres", "superuser": "shop", "host": "127.0.0.1"},
            [COMPOSE],
            {"run_as": "shop", "project": "shop", "service": "db"},
            id="inside its container",
        ),
    ],
)
def test_a_database_is_reached_as_it_is_described(database, services, expected):
    tasks = plan_tasks(system(DAILY, databases=[{**DATABASE, **database}], services=services))
    for task in (tasks[0], tasks[1]):
        options = task["options"]
        keys = ("run_as", "login_host", "login_port", "login_user", "project", "service")
        assert {key: options[key] for key in keys if key in options} == expected


def test_no_secret_is_in_a_task_only_its_name():
    tasks = plan_tasks(
        system(
            item(redis=["main cache"], offsite={"bucket": "store", "prefix": None, "keep": None}),
            databases=[{**DATABASE, "password": SECRET}],
        )
    )
    assert SECRET not in json.dumps(tasks)
    named = {name for task in tasks for name in task["secrets"].values()}
    assert named == {"database:shop", "redis:main cache", "bucket:store:access_key", "bucket:store:secret_key"}
    assert with_secrets(tasks[0], {"database:shop": SECRET})["login_password"] == SECRET
    with pytest.raises(TaskError, match="the secret database:shop is missing"):
        with_secrets(tasks[0], {})


@pytest.mark.parametrize(
    ("encryption", "expected"),
    [
        pytest.param(None, {"drill": True, "drill_max_age": 691200}, id="restored as a test when that is due"),
        pytest.param(
            {"method": "age", "recipients": ["age1x"]}, {}, id="not where it is encrypted: the host has no key"
        ),
    ],
)
def test_the_host_restores_what_it_can_read(encryption, expected):
    tasks = plan_tasks(system(item(encryption=encryption, drill={"max_age_seconds": 691200})))
    (look,) = of("backup_verify", tasks)
    assert {key: look["options"][key] for key in ("drill", "drill_max_age") if key in look["options"]} == expected
    assert look["drill_seconds"] == 691200
    assert tasks[0]["options"].get("encryption") == encryption


def test_a_redis_server_in_a_container_is_restored_as_a_test_like_any_other():
    made = item(databases=[], redis=["main cache"], drill={"max_age_seconds": 691200})
    (local,) = plan_tasks(system(made), "backup_verify")
    (contained,) = plan_tasks(
        system(made, redis=[{**REDIS, "service": "postgres"}], services=[COMPOSE]), "backup_verify"
    )
    assert ("drill" in local["options"], "drill" in contained["options"]) == (True, True)


def test_a_copy_goes_where_the_bucket_says_and_before_anything_old_goes():
    tasks = plan_tasks(system(item(offsite={"bucket": "store", "prefix": None, "keep": None})))
    assert [task["module"] for task in tasks] == ["pg_backup", "backup_verify", "backup_offsite", "backup_rotate"]
    assert tasks[2]["options"] == {
        **{"directory": "/backups/daily", "set": "daily", "bucket": "shop-backups", "region": "eu-central-1"},
        **{"prefix": "shop/", "state": "copied"},
    }


def test_copies_are_pruned_only_by_rules_of_their_own():
    tasks = plan_tasks(
        system(
            item(offsite={"bucket": "store", "prefix": "far/", "keep": {"last": 5, "daily": None}}),
            buckets=[{**BUCKET, "encryption": "AES256"}],
        ),
        "backup_offsite",
    )
    assert [task["options"]["state"] for task in tasks] == ["copied", "pruned"]
    for task in tasks:
        assert (task["options"]["keep"], task["options"]["prefix"]) == ({"last": 5}, "far/")
        assert task["options"]["server_side_encryption"] == "AES256"


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        (None, {}),
        ("AES256", {"server_side_encryption": "AES256"}),
        ("AES-256", {"server_side_encryption": "AES256"}),
        ("SSE-S3", {"server_side_encryption": "AES256"}),
        ("aws:kms", {"server_side_encryption": "aws:kms"}),
        ("aws:kms:alias/backups", {"server_side_encryption": "aws:kms", "kms_key_id": "alias/backups"}),
    ],
)
def test_what_a_bucket_says_of_its_encryption_is_asked_of_it(said, asked):
    assert encryption_of({"name": "b", "encryption": said}) == asked


def test_an_encryption_that_no_store_can_be_asked_for_is_refused():
    with pytest.raises(TaskError, match=r"'b'.encryption is 'strong': write AES256"):
        encryption_of({"name": "b", "encryption": "strong"})


def test_what_a_script_makes_is_only_looked_at():
    described = system(item(made_by="other", pattern="b_*", max_age_seconds=93600))
    (look,) = plan_looks(described, ["daily"])
    assert look["options"] == {"directory": "/backups/daily", "pattern": "b_*", "max_age": 93600}
    assert plan_tasks(described, names=["daily"]) == []
    assert plan_looks(described, ["weekly"]) == []


def test_old_files_of_a_script_count_with_the_one_set_that_takes_their_place():
    (task,) = plan_tasks(system(item(pattern="backup_*.sql")), "backup_rotate")
    assert (task["options"]["set"], task["options"]["pattern"]) == ("daily", "backup_*.sql")


def test_old_files_of_a_script_are_rotated_by_themselves_beside_several_sets():
    tasks = plan_tasks(system(item(pattern="backup_*.sql", files=["/etc/nginx"])), "backup_rotate")
    assert [(task["options"].get("set"), task["options"].get("pattern")) for task in tasks] == [
        ("daily-shop", None),
        ("daily-files", None),
        (None, "backup_*.sql"),
    ]


def test_what_a_script_makes_is_left_to_it():
    assert plan_tasks(system(item(made_by="other"))) == []


def test_only_what_is_asked_for_is_done():
    tasks = plan_tasks(system(DAILY, item(name="weekly")), "pg_backup", ["weekly"])
    assert [task["set"] for task in tasks] == ["weekly"]


WRONG = [
    pytest.param(
        [item(databases=["shp"])], {}, r"'daily'.databases names 'shp'.*known are shop", id="unknown database"
    ),
    pytest.param(
        [item(redis=["r"])], {"redis": []}, "'daily'.redis names 'r'.*there is none at all", id="unknown redis"
    ),
    pytest.param([item(databases=[])], {}, "names no databases, redis, files or buckets", id="nothing"),
    pytest.param(
        [item(offsite={"bucket": "x", "prefix": None, "keep": None})],
        {},
        "offsite.bucket names 'x'",
        id="unknown bucket",
    ),
    pytest.param(
        [item(offsite={"bucket": "store", "prefix": None, "keep": None})],
        {"buckets": [{**BUCKET, "secret_key": None}]},
        "has no secret_key",
        id="bucket without a key",
    ),
    pytest.param([DAILY, item(databases=["shop"])], {}, "would both write the set daily", id="two of one name"),
    pytest.param([item(buckets=["store"])], {}, "'store': that one of ops_buckets has no mirror", id="no mirror"),
    pytest.param(
        [item(buckets=["media"])],
        {"buckets": [{**BUCKET, "name": "media", "mirror": "store"}, {**BUCKET, "access_key": None}]},
        "ops_buckets 'store' has no access_key, so 'media' cannot be mirrored",
        id="mirror without a key",
    ),
]


@pytest.mark.parametrize(("items", "parts", "message"), WRONG)
def test_what_cannot_be_followed_is_refused_by_the_name_of_the_variable(items, parts, message):
    with pytest.raises(TaskError, match=message):
        plan_tasks(system(*items, **parts))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(("pg_dump",), "no module 'pg_dump'.*pg_backup", id="unknown module"),
        pytest.param((None, ["monthly"]), "'monthly': known are daily", id="unknown item"),
    ],
)
def test_a_question_for_what_is_not_there_is_refused(arguments, message):
    with pytest.raises(TaskError, match=message):
        plan_tasks(system(DAILY), *arguments)
