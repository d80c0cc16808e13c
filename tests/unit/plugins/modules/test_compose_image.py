# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module fetches what the registry has, keeps the image before, and refuses another major version of a server with data."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._compose import ComposeError
from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError
from ansible_collections.runbook.ops.plugins.modules import compose_image

OLD, NEW = (f"sha256:{letter * 64}" for letter in "ab")


class FakeDocker:
    """Stands for the engine and its client: names of images, and a registry whose digests are their numbers."""

    def __init__(self, published=NEW, **versions):
        self.names, self.published, self.calls = {"postgres:16": OLD}, published, []
        self.versions = {OLD: "16", NEW: "16", **versions}

    def ask(self, path, **_more):
        if path.startswith("/distribution"):
            if self.published is None:
                raise DockerError("Docker refused (500): no such host")
            return {"Descriptor": {"digest": self.published}}
        if path.startswith("/images/json"):
            assert "runbook-ops/previous/database:*" in unquote(path)
            kept = [(tag, one) for tag, one in self.names.items() if tag.startswith("runbook-ops/")]
            return [{"Id": one, "RepoTags": [tag]} for tag, one in kept]
        name = path[len("/images/") : -len("/json")]
        identity = self.names.get(name, name)
        env = [f"PG_MAJOR={self.versions[identity]}", "PATH=/bin"]
        return {"Id": identity, "RepoDigests": [f"postgres@{identity}"], "Config": {"Env": env}}

    def __call__(self, *arguments, **_more):
        self.calls.append(arguments)
        if arguments[:2] == ("image", "tag"):
            self.names[arguments[3]] = self.names.get(arguments[2], arguments[2])
        elif arguments[0] == "pull":
            self.names[arguments[2]] = self.published
        else:
            del self.names[arguments[3]]
        return ""


def run(fake, state="fetched", *, check_mode=False, stamp="20260301T000000Z", image="postgres:16", **more):
    params = {"name": "Database", "image": image, "state": state, "keep": 2, "timeout_seconds": 9, "identity": None}
    params.update(more)
    return compose_image.run(params, docker=fake, asked=fake.ask, check_mode=check_mode, stamp=stamp)


def test_what_is_done_was_predicted_and_a_second_run_finds_nothing():
    fake = FakeDocker()
    predicted = run(fake, check_mode=True)
    assert fake.calls == []
    done = run(fake)
    assert predicted["actions"] == done["actions"]
    assert predicted["diff"] == done["diff"]
    assert (done["before"], done["after"]) == (OLD, NEW)
    assert done["kept"] == ["runbook-ops/previous/database:20260301T000000Z"]
    again = run(fake)
    assert (again["changed"], again["changes"]) == (False, [])


def test_the_way_back_is_the_image_that_was_kept():
    fake = FakeDocker()
    run(fake)
    back = run(fake, "returned")
    assert (back["changed"], back["after"], fake.names["postgres:16"]) == (True, OLD, OLD)
    assert not run(fake, "returned")["changed"]


def test_without_one_that_was_kept_there_is_no_way_back():
    assert not run(FakeDocker(), "returned")["changed"]


def test_another_major_version_is_refused_and_the_name_given_back():
    fake = FakeDocker(**{NEW: "17"})
    with pytest.raises(ComposeError, match="PostgreSQL 17 now"):
        run(fake)
    assert fake.names["postgres:16"] == OLD


def test_one_that_does_not_tell_its_version_any_more_is_refused_and_the_name_given_back():
    fake = FakeDocker(**{NEW: ""})
    with pytest.raises(ComposeError, match="does not tell its version of PostgreSQL any more"):
        run(fake)
    assert fake.names["postgres:16"] == OLD


def test_only_so_many_are_kept():
    fake = FakeDocker()
    for number, letter in enumerate("bcd"):
        fake.published = f"sha256:{letter * 64}"
        fake.versions[fake.published] = "16"
        said = run(fake, stamp=f"2026030{number + 1}T000000Z")
    assert said["kept"] == [f"runbook-ops/previous/database:2026030{day}T000000Z" for day in (3, 2)]


@pytest.mark.parametrize("image", [f"postgres@{OLD}", OLD])
def test_an_image_that_is_named_for_ever_is_refused(image):
    with pytest.raises(ComposeError, match="a deploy changes it"):
        run(FakeDocker(), image=image)


def test_a_registry_that_does_not_tell_changes_nothing():
    fake = FakeDocker(published=None)
    with pytest.raises(DockerError, match="does not tell"):
        run(fake)
    assert fake.calls == []


@pytest.mark.parametrize(
    ("more", "says"), [({"keep": 0}, "keep is 0"), ({"timeout_seconds": 0}, "timeout_seconds is 0")]
)
def test_no_way_back_and_no_limit_are_refused(more, says):
    with pytest.raises(ComposeError, match=says):
        run(FakeDocker(), **more)


def test_what_is_in_service_is_kept_where_another_image_was_fetched_by_hand():
    fake = FakeDocker()
    fake("image", "tag", f"sha256:{'9' * 64}", "runbook-ops/previous/database:20250101T000000Z")
    fake("pull", "--quiet", "postgres:16")
    fake.calls.clear()
    predicted = run(fake, check_mode=True, identity=OLD)
    assert fake.calls == []
    done = run(fake, identity=OLD)
    assert predicted["actions"] == done["actions"] == [f"docker image tag {OLD[:19]} {done['kept'][0]}"]
    assert (done["changed"], done["before"], done["after"]) == (True, OLD, NEW)
    assert not run(fake, identity=OLD)["changed"]
    assert run(fake, "returned", identity=OLD)["after"] == fake.names["postgres:16"] == OLD


def test_another_major_version_that_was_fetched_by_hand_or_before_a_cut_is_refused_and_the_name_given_back():
    fake = FakeDocker(**{NEW: "17"})
    for _again in range(2):  # the second time its image is kept already
        fake("pull", "--quiet", "postgres:16")
        with pytest.raises(ComposeError, match="PostgreSQL 17 now"):
            run(fake, check_mode=True, identity=OLD)
        with pytest.raises(ComposeError, match="PostgreSQL 17 now"):
            run(fake, identity=OLD)
        assert fake.names["postgres:16"] == OLD
        fake.names["runbook-ops/previous/database:20260301T000000Z"] = OLD


def test_a_refused_or_interrupted_fetch_pushes_no_older_image_out():
    older = f"sha256:{'9' * 64}"
    fake = FakeDocker(**{NEW: "17"})
    fake.names["runbook-ops/previous/database:20250101T000000Z"] = older
    for day in range(1, 4):
        with pytest.raises(ComposeError):
            run(fake, stamp=f"2026030{day}T000000Z")
        fake.names[f"runbook-ops/previous/database:2026030{day}T000001Z"] = OLD  # what a kill leaves
    fake.versions[NEW] = "16"
    said = run(fake, stamp="20260310T000000Z")
    assert [fake.names[tag] for tag in said["kept"]] == [OLD, older]
