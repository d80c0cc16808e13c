# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that are exchanged, cut off at each step, and finished or taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _path_swap
from ansible_collections.runbook.ops.plugins.module_utils._path_swap import go_back, identify, make_item, put_in_place
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError


class KilledError(Exception):
    """Stands in for ``kill -9``: nothing catches it."""


@pytest.fixture(params=["exchange", "two renames"])
def how(request, monkeypatch):
    if request.param == "two renames":
        monkeypatch.setattr(_path_swap, "_exchange", lambda _one, _other: False)
    return request.param


@pytest.fixture(params=["something was live", "nothing was live"])
def item(request, tmp_path):
    item = make_item(str(tmp_path / "app"), "20261121T120000Z")
    if request.param == "something was live":
        write(item["live"], "old")
    write(item["new"], "new")
    return {**item, "new_id": identify(item["new"]), "old_id": identify(item["live"])}


def write(path, text):
    Path(path).write_text(text)


def read(path):
    try:
        return Path(path).read_text()
    except FileNotFoundError:
        return None


def state(item):
    return {key: read(item[key]) for key in ("live", "new", "before", "failed")}


def dying(monkeypatch, turn):
    """Let the ``turn``-th change of names be the last thing that happens."""
    left = [turn]
    for name in ("_rename", "_exchange"):
        real = getattr(_path_swap, name)

        def call(*arguments, real=real):
            if left[0] == 0:
                raise KilledError
            done = real(*arguments)
            left[0] -= done is not False
            return done

        monkeypatch.setattr(_path_swap, name, call)
    return left


@pytest.mark.usefixtures("how")
def test_what_was_live_is_kept_and_comes_back(item):
    old = read(item["live"])
    put_in_place(item)
    assert state(item) == {"live": "new", "new": None, "before": old, "failed": None}
    go_back(item)
    assert state(item) == {"live": old, "new": None, "before": None, "failed": "new"}


@pytest.mark.parametrize("turn", range(3))
@pytest.mark.parametrize("then", [put_in_place, go_back])
def test_cut_off_after_any_step_it_is_finished_or_taken_back(how, item, turn, then, monkeypatch):
    old = read(item["live"])
    left = dying(monkeypatch, turn)
    try:
        put_in_place(item)
    except KilledError:
        assert how == "two renames" or read(item["live"]) in (old, "new")
    left[0] = 99
    then(item)
    assert read(item["live"]) == ("new" if then is put_in_place else old)
    then(item)
    assert read(item["live"]) == ("new" if then is put_in_place else old)


@pytest.mark.parametrize("turn", range(3))
def test_going_back_can_be_cut_off_as_well(how, item, turn, monkeypatch):
    old = read(item["live"])
    put_in_place(item)
    left = dying(monkeypatch, turn)
    try:
        go_back(item)
    except KilledError:
        assert how == "two renames" or read(item["live"]) in (old, "new")
    left[0] = 99
    go_back(item)
    assert state(item) == {"live": old, "new": None, "before": None, "failed": "new"}


def test_what_somebody_else_put_there_meanwhile_is_not_replaced(tmp_path):
    item = make_item(str(tmp_path / "app"), "20261121T120000Z")
    write(item["live"], "old")
    write(item["new"], "new")
    item.update(new_id=identify(item["new"]), old_id=[0, 0])
    with pytest.raises(StoreError, match="somebody has replaced"):
        put_in_place(item)
    assert read(item["live"]) == "old"


def test_a_name_that_is_taken_is_not_written_over(item):
    write(item["before"], "of somebody else")
    if item["old_id"]:
        with pytest.raises(StoreError, match="there already"):
            put_in_place(item)
    assert read(item["before"]) == "of somebody else"
