# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a description says of clusters that can be brought back to a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.runbook.ops.plugins.module_utils._contract import normalise
from ansible_collections.runbook.ops.plugins.module_utils._health_plan import plan_probes
from ansible_collections.runbook.ops.plugins.module_utils._point_in_time import point_in_time_clusters
from ansible_collections.runbook.ops.plugins.module_utils._references import contradictions

SPECIFICATION = Path(__file__).parents[4] / "roles" / "system" / "meta" / "argument_specs.yml"
OPTIONS = yaml.safe_load(SPECIFICATION.read_text())["argument_specs"]["description"]["options"]

ITEM: dict[str, Any] = {
    "name": "main",
    "cluster": "15/main",
    "port": 5432,
    "repository": {"path": "/srv/pgbackrest"},
    "passphrase": "correct horse",
    "full": {"calendar": None, "count": 3},
    "diff": {"calendar": "*-*-* 04:00:00", "count": 7},
    "interval_seconds": 60,
    "max_age_seconds": 93600,
}
BUCKET: dict[str, Any] = {"name": "far", "bucket": "shop", "region": "eu-1", "access_key": "a", "secret_key": "b"}


def system(item: dict[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    return {
        "services": [
            {"name": "postgresql", "manager": "systemd", "health": {"database": "shop"}},
            {"name": "api", "manager": "pm2", "needs": ["shop"]},
            {"name": "far", "manager": "vercel", "needs": ["shop"]},
            {"name": "nginx", "manager": "systemd"},
        ],
        "databases": [
            {"name": "shop", "engine": "postgresql", "owner": "shop", "port": 5432},
            {"name": "elsewhere", "engine": "postgresql", "owner": "shop", "port": 5433},
            {"name": "documents", "engine": "mongodb", "port": 27017},
        ],
        "point_in_time": [{**ITEM, **(item or {})}],
        **parts,
    }


def test_a_cluster_is_where_debian_has_it() -> None:
    found = point_in_time_clusters(system())[0]
    assert found["data_directory"] == "/var/lib/postgresql/15/main"
    assert found["unit"] == "postgresql@15-main.service"
    assert found["calendars"] == {"full": "Sun *-*-* 01:00:00", "diff": "*-*-* 04:00:00"}
    assert (found["databases"], found["writers"], found["unstoppable"]) == (["shop"], ["api"], ["far"])


def test_a_repository_on_disk_is_encrypted_where_there_is_a_passphrase() -> None:
    found = point_in_time_clusters(system())[0]["repository"]
    assert found == {
        "repo1-path": "/srv/pgbackrest",
        "repo1-cipher-type": "aes-256-cbc",
        "repo1-cipher-pass": "correct horse",
        "repo1-retention-full": "3",
        "repo1-retention-diff": "7",
    }
    assert "repo1-cipher-type" not in point_in_time_clusters(system({"passphrase": None}))[0]["repository"]


@pytest.mark.parametrize(
    ("bucket", "place"),
    [
        pytest.param({}, ("s3.eu-1.amazonaws.com", "host", None), id="Amazon"),
        pytest.param({"endpoint": "https://s3.example:9000"}, ("s3.example", "path", "9000"), id="another"),
    ],
)
def test_a_repository_in_a_bucket_is_reached_by_its_endpoint(bucket: dict[str, Any], place: tuple[str, ...]) -> None:
    item = {"repository": {"bucket": "far", "prefix": "/pg/"}}
    found = point_in_time_clusters(system(item, buckets=[{**BUCKET, **bucket}]))[0]["repository"]
    assert (found["repo1-s3-endpoint"], found["repo1-s3-uri-style"], found.get("repo1-storage-port")) == place
    assert (found["repo1-path"], found["repo1-s3-bucket"], found["repo1-s3-key"]) == ("/pg", "shop", "a")


@pytest.mark.parametrize(
    ("item", "bucket", "words"),
    [
        pytest.param({"cluster": "main"}, {}, "such as 15/main", id="no version"),
        pytest.param({"name": "a b"}, {}, "name of a stanza", id="a blank"),
        pytest.param({"repository": {"bucket": "near"}}, {}, "none of ops_buckets", id="no such bucket"),
        pytest.param({"repository": {"bucket": "far"}}, {"secret_key": ""}, "no keys", id="no keys"),
        pytest.param({"repository": {"bucket": "far"}}, {"endpoint": "http://s3"}, "not https", id="in the clear"),
    ],
)
def test_what_cannot_be_kept_is_refused(item: dict[str, Any], bucket: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as found:
        point_in_time_clusters(system(item, buckets=[{**BUCKET, **bucket}]))
    assert "correct horse" not in str(found.value)


def test_a_description_is_held_against_its_buckets_and_debians_names() -> None:
    described = {
        "ops_system": {"name": "shop"},
        "ops_point_in_time": [{"name": "main", "cluster": "main", "repository": {"bucket": "near"}}],
    }
    normal, problems = normalise(described, OPTIONS)
    found = problems + contradictions(normal)
    assert any("repository.bucket is 'near'" in line for line in found)
    assert any("cluster is 'main'" in line for line in found)
    assert len(found) == 2, found


@pytest.mark.parametrize(
    ("promised", "limits"),
    [(None, None), (900, {"warning": 300.0, "critical": 900}), (60, {"warning": 60, "critical": 60})],
)
def test_the_health_check_holds_the_archive_against_what_is_promised(promised: int | None, limits: Any) -> None:
    probe = next(
        one
        for one in plan_probes(system(objectives={"rpo_seconds": promised}), ["backups"])
        if one["probe"] == "pgbackrest"
    )
    assert probe.get("lost_seconds") == limits
    assert "correct horse" not in str(probe)
