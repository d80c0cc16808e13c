# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _release_image as images
from ansible_collections.runbook.ops.plugins.module_utils._docker import DockerError
from ansible_collections.runbook.ops.plugins.module_utils._release import ReleaseError

DIGEST, NUMBER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
FROM_REGISTRY = {
    "Id": NUMBER,
    "RepoDigests": ["other.example.org/shop@sha256:" + "c" * 64, f"registry.example.org/shop@{DIGEST}"],
    "Config": {"Labels": {images.REVISION: "f" * 40, images.VERSION: "1.2"}},
    "Size": 7,
}
BUILT_HERE = {"Id": NUMBER, "RepoDigests": [], "Config": {"Labels": None}}


@pytest.fixture
def engine(monkeypatch):
    known: dict[str, dict] = {}

    def ask(path):
        name = path.removeprefix("/images/").removesuffix("/json")
        if name not in known:
            raise DockerError("Docker refused (404): no such image")
        return known[name]

    monkeypatch.setattr(images, "ask", ask)
    return known


def test_an_image_is_named_by_the_digest_of_its_own_name():
    found = images.parse(FROM_REGISTRY, "registry.example.org/shop")
    assert found == (f"registry.example.org/shop@{DIGEST}", DIGEST, "f" * 40, "1.2", 7)


def test_an_image_that_was_built_here_is_named_by_its_number():
    assert images.parse(BUILT_HERE, "shop")[:2] == (NUMBER, NUMBER)


def test_a_tag_is_fetched_for_it_may_have_moved(engine):
    engine["registry.example.org/shop:1.2"] = {**FROM_REGISTRY, "RepoDigests": ["registry.example.org/shop@" + NUMBER]}

    def pull(wanted):
        engine[wanted] = FROM_REGISTRY

    assert images.take("registry.example.org/shop", "1.2", pull).digest == DIGEST


@pytest.mark.parametrize(
    ("version", "there"),
    [
        ("1.2", {"shop:1.2": BUILT_HERE}),
        (DIGEST, {f"shop@{DIGEST}": {**FROM_REGISTRY, "RepoDigests": [f"shop@{DIGEST}"]}}),
    ],
    ids=["built here", "by digest"],
)
def test_what_cannot_have_moved_is_not_fetched(engine, version, there):
    engine.update(there)
    assert images.take("shop", version, lambda _: pytest.fail("it was fetched")).digest in (DIGEST, NUMBER)


@pytest.mark.parametrize(
    ("image", "version"), [("-x", "1"), ("Shop;id", "1"), ("shop", "-x"), ("shop", "a b"), ("shop", "")]
)
def test_what_is_no_image_is_refused(image, version):
    with pytest.raises(ReleaseError):
        images.reference(image, version)
