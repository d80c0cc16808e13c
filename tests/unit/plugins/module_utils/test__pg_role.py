# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PostgreSQL keeps of a password, and what is done to a role."""

from __future__ import annotations

import base64

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg_role import asking, fits, plan, verifier

SALT = b"0123456789abcdef"
KEPT = verifier("pencil", SALT)


def test_a_password_fits_what_is_kept_of_it_and_no_other_does():
    assert fits("pencil", KEPT)
    assert not fits("Pencil", KEPT)


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(None, id="none"),
        pytest.param("md5d3b07384d113edec49eaa6238ad5ff00", id="MD5"),
        pytest.param("SCRAM-SHA-256$4096:%%%$a:b", id="damaged"),
    ],
)
def test_what_is_kept_otherwise_never_fits(kept):
    assert not fits("pencil", kept)


def test_the_password_is_in_no_statement():
    done = plan("shop", "pen'cil", None, SALT)
    assert done
    assert done[1].startswith('CREATE ROLE "shop" LOGIN PASSWORD')
    assert "cil" not in done[1]
    assert base64.b64encode(SALT).decode() in done[1]


@pytest.mark.parametrize(
    ("password", "found", "word"),
    [
        pytest.param(None, None, "create", id="a new role without a password"),
        pytest.param("pencil", {"login": True, "kept": KEPT}, None, id="all as wanted"),
        pytest.param(None, {"login": True, "kept": None}, None, id="no password is wanted"),
        pytest.param("eraser", {"login": True, "kept": KEPT}, "set the password", id="another password"),
        pytest.param("pencil", {"login": False, "kept": KEPT}, "let it log in", id="a role that may not log in"),
    ],
)
def test_only_what_differs_is_changed(password, found, word):
    done = plan("shop", password, found, SALT)
    assert (done[0] if done else None) == word


def test_a_name_is_quoted():
    assert "rolname = 'o''hara'" in asking("o'hara")
    assert plan('a"b', None, None, SALT) == ("create", 'CREATE ROLE "a""b" LOGIN;')
