# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PostgreSQL keeps of a password, and what is done to a role."""

from __future__ import annotations

import base64

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg import PgError
from ansible_collections.runbook.ops.plugins.module_utils._pg_role import (
    STAYS,
    asking,
    await_server,
    fits,
    plan,
    verifier,
)

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


def answering(answers):
    def ask(sql):
        assert sql == STAYS
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask


def test_the_server_is_awaited_that_stays_not_the_one_of_an_images_first_steps():
    starts = PgError("the database system is starting up")
    answers, waited = [starts, False, starts, True], []
    await_server(answering(answers), 300, sleep=waited.append)
    assert waited == [1, 1, 1]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(False, "still busy with its first start", id="first steps that do not end"),
        pytest.param(PgError("no such container"), "no such container", id="no server at all"),
    ],
)
def test_who_waits_for_a_server_that_does_not_come_is_told_why(answer, words):
    with pytest.raises(PgError, match=words):
        await_server(answering([answer]), 0.01, sleep=lambda _seconds: None)
