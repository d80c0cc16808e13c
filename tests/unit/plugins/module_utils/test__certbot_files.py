# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lineage is read as it is, though certbot changes its links at that moment."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._certbot_files import LINKS, LOOKS, observe


def link(config: Path, name: str, version: int) -> None:
    """Have the link ``name`` point to ``version``, as certbot does."""
    path = config / "live/a" / name
    path.unlink(missing_ok=True)
    path.symlink_to(f"../../archive/a/{path.stem}{version}.pem")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A lineage with two versions, of which the first is live."""
    for folder in ("live/a", "archive/a"):
        (tmp_path / folder).mkdir(parents=True)
    for name in LINKS:
        for version in (1, 2):
            (tmp_path / f"archive/a/{Path(name).stem}{version}.pem").write_text(f"{name} {version}")
        link(tmp_path, name, 1)
    return tmp_path


def test_one_that_stands_is_looked_at_once(config: Path) -> None:
    waits: list[float] = []
    lineage = observe(config, "a", openssl=None, wait=waits.append)
    assert (lineage.certificate, lineage.fullchain, waits) == ("cert.pem 1", "fullchain.pem 1", [])


@pytest.mark.parametrize("gone", LINKS)
def test_a_link_that_certbot_is_about_to_make_anew_is_waited_for(config: Path, gone: str) -> None:
    (config / "live/a" / gone).unlink()
    lineage = observe(config, "a", openssl=None, wait=lambda _seconds: link(config, gone, 1))
    assert (lineage.certificate, lineage.fullchain) == ("cert.pem 1", "fullchain.pem 1")
    assert lineage.key_mode is not None


def test_a_key_that_is_not_changed_yet_is_waited_for(config: Path) -> None:
    link(config, "cert.pem", 2)

    def go_on(_seconds: float) -> None:
        for name in LINKS:
            link(config, name, 2)

    lineage = observe(config, "a", openssl=None, wait=go_on)
    assert (lineage.certificate, lineage.fullchain) == ("cert.pem 2", "fullchain.pem 2")


def test_links_that_change_while_they_are_read_are_read_again(config: Path) -> None:
    def openssl(*_arguments: str, **_more: object) -> str:
        for name in LINKS:
            link(config, name, 2)
        return ""

    lineage = observe(config, "a", openssl=openssl, wait=lambda _seconds: None)
    assert lineage.certificate == "cert.pem 2"


def test_what_is_broken_for_good_is_told_after_a_moment(config: Path) -> None:
    waits: list[float] = []
    (config / "live/a/cert.pem").unlink()
    assert observe(config, "a", openssl=None, wait=waits.append).certificate is None
    assert len(waits) == LOOKS - 1
