# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths
from ansible_collections.runbook.ops.plugins.module_utils._release import (
    Release,
    decode,
    encode,
    listed,
    load,
    next_moment,
    package_version,
    release_id,
    save,
)

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def release(path, **more) -> Release:
    known = {
        "id": f"20260304T050607Z-{COMMIT[:12]}",
        "service": "api",
        "kind": "git",
        "path": str(path),
        "commit": COMMIT,
        "ref": "main",
        "image": None,
        "package_version": "1.2.3",
        "process": {"entry_point": "server.js"},
        "environment_sha256": None,
        "lock_sha256": None,
        "migrations": [],
        "built_at": "2026-03-04T05:06:09+00:00",
        "tools": {"node": "v18"},
    }
    return Release(**{**known, **more})


@pytest.fixture
def paths(tmp_path):
    made = DeployPaths("api", str(tmp_path / "state"), str(tmp_path / "run"))
    made.make()
    return made


@pytest.fixture
def built(tmp_path):
    directory = tmp_path / "built"
    directory.mkdir()
    (directory / "REVISION").write_text(f"{COMMIT}\n")
    return directory


@pytest.mark.parametrize(
    ("source", "end"),
    [(COMMIT, "0123456789ab"), ("sha256:" + "f" * 64, "f" * 12)],
    ids=["a commit", "a digest"],
)
def test_a_release_is_named_after_its_moment_in_utc_and_its_source(source, end):
    east = AT.astimezone(timezone(timedelta(hours=9)))
    assert release_id(east, source) == f"20260304T050607Z-{end}"


@pytest.mark.parametrize(
    ("at", "source"),
    [(AT.replace(tzinfo=None), COMMIT), (AT, "../../etc"), (AT, "")],
    ids=["no time zone", "a path", "nothing"],
)
def test_what_cannot_name_a_release_is_refused(at, source):
    with pytest.raises(ValueError, match=r"."):
        release_id(at, source)


def test_a_release_that_was_saved_is_read_again(paths, built):
    save(paths, release(built))
    assert load(paths, release(built).id) == release(built)


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda _, file: file.write_text(file.read_text()[:-20]), id="its facts are cut off"),
        pytest.param(lambda _, file: file.unlink(), id="its facts are gone"),
        pytest.param(lambda built, _: (built / "REVISION").unlink(), id="its directory was emptied"),
        pytest.param(lambda built, _: (built / "REVISION").write_text("f" * 40), id="its directory is another's"),
        pytest.param(lambda built, _: built.rename(built.with_name("away")), id="its directory is gone"),
    ],
)
def test_what_is_not_whole_is_no_release(paths, built, harm):
    save(paths, release(built))
    harm(built, paths.release(release(built).id))
    assert load(paths, release(built).id) is None
    assert listed(paths) == []


def test_a_file_that_bears_the_name_of_another_release_is_none(paths, built):
    save(paths, release(built))
    file = paths.release(release(built).id)
    other = file.with_name(f"20260305T050607Z-{COMMIT[:12]}.json")
    file.rename(other)
    assert load(paths, other.stem) is None


@pytest.mark.parametrize(
    "more",
    [{"format": 2}, {"kind": "rumour"}, {"id": "../x"}, {"id": None}],
    ids=["a later format", "an unknown kind", "a path for a name", "no name"],
)
def test_facts_that_are_not_ours_are_none(more):
    assert decode({**encode(release("/x")), **more}) is None


def test_facts_without_a_needed_key_are_none_and_keys_of_a_later_version_are_passed_over():
    content = encode(release("/x"))
    assert decode({**content, "colour": "blue"}) == release("/x")
    del content["commit"]
    assert decode(content) is None


def test_releases_come_oldest_first(paths, built):
    newer = release(built, id=f"20260101T000000Z-{COMMIT[:12]}", built_at="2026-03-04T05:06:10+00:00")
    save(paths, newer)
    save(paths, release(built))
    assert [one.id for one in listed(paths)] == [release(built).id, newer.id]


@pytest.mark.parametrize(
    ("text", "version"),
    [('{"version": "1.0.0-rc.1"}', "1.0.0-rc.1"), ('{"name": "x"}', None), ("[1]", None), ("not json", None)],
)
def test_the_version_of_a_package_is_read_where_it_is_one(text, version):
    assert package_version(text) == version


def test_the_next_release_is_named_after_a_later_moment_than_all_before(tmp_path):
    paths = DeployPaths("shop", str(tmp_path))
    paths.releases.mkdir(parents=True)
    now = datetime.now(timezone.utc)
    assert abs((next_moment(paths) - now).total_seconds()) < 60
    ahead = (now + timedelta(days=1)).replace(microsecond=0)
    (paths.releases / f"{release_id(ahead, 'a' * 40)}.begun").touch()
    (paths.releases / "adopted-0123456789ab.json").touch()
    assert next_moment(paths) == ahead + timedelta(seconds=1)
