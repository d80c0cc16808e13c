# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore from its beginning to its end, by what stands in its journal."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _path_restore, _path_swap
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft
from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import check, write_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import SetError
from ansible_collections.runbook.ops.plugins.module_utils._path_restore import Restore
from ansible_collections.runbook.ops.plugins.module_utils._path_swap import make_item
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_journal import Journal, JournalError
from ansible_collections.runbook.ops.plugins.module_utils._restore_choice import choose, refuse_unproven
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError
from ansible_collections.runbook.ops.plugins.module_utils._writers import WritersError

NOW = 1_790_000_000.0
PARAMS = {
    "backup": "latest",
    "set": "app",
    "taken_before": "",
    "accept_unproven": "",
    "keep_days": 7,
    "wait_timeout_seconds": 9,
}
API = {"name": "api", "manager": "pm2"}


def make_backup(directory, *, day=1, proven=True, kind="files"):
    with Draft.begin(directory, "app", datetime(2026, 11, day, tzinfo=timezone.utc)) as draft:
        with draft.create("files.tar") as file:
            file.write(b"data")
        backup = draft.seal({"kind": kind, "taken_at": f"2026-11-{day:02}T00:00:00Z", "content": {}})
    drill = {"passed": True, "at": "2026-11-02T00:00:00Z"} if proven else None
    write_proof(backup, {"files": check(backup).files, "drill": drill, "checked_at": "2026-11-02T00:00:00Z"})
    return backup


class Kind:
    name, kind = "app", "files"

    def __init__(self, live):
        self.live, self.calls, self.fail, self.paths = live, [], None, []

    def _called(self, name):
        self.calls.append(name)
        if self.fail == name:
            raise StoreError(f"{name} failed")

    def asked(self):
        return {"paths": self.paths}

    def plan(self, _backup, stamp):
        self._called("plan")
        return {"items": [make_item(str(self.live), stamp)], "lines": ["a plan"]}

    def prepare(self, _backup, entry):
        Path(entry["items"][0]["new"]).write_text("new")
        self._called("prepare")

    def close(self, _entry):
        self._called("close")
        if self.fail == "killed":
            raise KeyboardInterrupt

    def open(self, _entry, *, restored):
        self._called("open restored" if restored else "open")


class Writers:
    """Services that write into the same list of calls."""

    def __init__(self, kind):
        self.kind, self.ill = kind, False

    def look(self, services, left):
        return list(left) or list(services)

    def stop(self, writers):
        self.kind.calls += [f"stop {one['name']}" for one in writers]

    def start(self, writers, _wait_seconds):
        if self.ill:
            raise WritersError("api does not answer")
        self.kind.calls += [f"start {one['name']}" for one in writers]

    def confirm(self, writers):
        self.kind.calls += [f"confirm {one['name']}" for one in writers]

    def start_all(self, writers):
        self.kind.calls += [f"start {one['name']}" for one in writers]
        return []


@pytest.fixture
def kind(tmp_path):
    (tmp_path / "app").write_text("old")
    return Kind(tmp_path / "app")


@pytest.fixture
def run(tmp_path, kind):
    (tmp_path / "backups").mkdir()
    make_backup(tmp_path / "backups")

    def go(state, *, check_mode=False, now=NOW, **options):
        places = {"directory": str(tmp_path / "backups"), "journal_directory": str(tmp_path / "journal")}
        params = {**PARAMS, **places, "state": state, **options}
        return Restore(kind, params, check_mode=check_mode, writers=go.writers, clock=lambda: now).run()

    go.writers = Writers(kind)
    return go


def names(tmp_path):
    return sorted(path.name.partition("-")[0] for path in tmp_path.iterdir() if path.name.startswith("app"))


def test_it_goes_there_and_back_and_a_second_run_finds_nothing_to_do(run, kind, tmp_path):
    for state, live in (("prepared", "old"), ("swapped", "new"), ("reverted", "old")):
        assert run(state)["changed"] and not run(state)["changed"]
        assert kind.live.read_text() == live
    assert run("pruned", now=NOW + 8 * 86400)["changed"]
    assert names(tmp_path) == ["app"]


def test_check_mode_shows_the_plan_and_changes_nothing(run, kind, tmp_path):
    result = run("prepared", check_mode=True)
    assert result["changed"] and "a plan" in result["lines"] and result["stage"] == "none"
    assert not (tmp_path / "journal").exists() and kind.calls == ["plan"]
    run("prepared")
    assert run("swapped", check_mode=True)["changed"] and kind.live.read_text() == "old"


@pytest.mark.parametrize("fail", ["close", "open restored"])
def test_a_failed_exchange_goes_back_by_itself(run, kind, fail):
    run("prepared")
    kind.fail = fail
    with pytest.raises(StoreError, match="what was live before is live again"):
        run("swapped")
    assert kind.live.read_text() == "old" and kind.calls[-1] == "open"


def test_of_a_failed_preparation_nothing_stays(run, kind, tmp_path):
    kind.fail = "prepare"
    with pytest.raises(StoreError):
        run("prepared")
    assert names(tmp_path) == ["app"]
    kind.fail = None
    assert run("prepared")["stage"] == "prepared"


def test_what_is_kept_is_pruned_when_it_is_old_enough(run, tmp_path):
    run("prepared")
    run("swapped")
    assert run("pruned", now=NOW + 6 * 86400)["actions"] == ["finish the restore of app"]
    assert not run("pruned", now=NOW + 6 * 86400)["changed"]
    assert len(run("pruned", now=NOW + 8 * 86400)["actions"]) == 1
    assert names(tmp_path) == ["app"]


def test_what_was_only_prepared_is_deleted(run, tmp_path):
    run("prepared")
    run("reverted")
    assert names(tmp_path) == ["app"]


def test_the_same_backup_with_other_paths_is_not_what_is_prepared(run, kind):
    run("prepared")
    kind.paths = ["/another"]
    with pytest.raises(StoreError, match="prepared already, of other things"):
        run("prepared")


def test_what_is_in_place_is_finished_before_another_restore_begins(run, tmp_path):
    run("prepared")
    assert run("swapped")["open"]
    assert not run("prepared")["changed"]
    newer = make_backup(tmp_path / "backups", day=3)
    with pytest.raises(StoreError, match="in place and not finished"):
        run("prepared", backup=newer.name)
    result = run("pruned")
    assert result["actions"] == ["finish the restore of app"] and not result["open"]
    assert run("prepared", backup=newer.name)["stage"] == "prepared"


@pytest.mark.parametrize(
    ("state", "stage", "calls"),
    [
        ("prepared", "prepared", ["open"]),
        ("reverted", "reverted", ["open"]),
        ("pruned", "prepared", ["open"]),
        ("swapped", "swapped", ["close", "open restored"]),
    ],
)
def test_what_a_killed_run_has_stopped_is_started_by_the_next_one(run, kind, state, stage, calls):
    run("prepared")
    kind.fail = "killed"
    with pytest.raises(KeyboardInterrupt):
        run("swapped")
    kind.fail, kind.calls = None, []
    assert run(state, check_mode=True)["changed"] and kind.calls == []
    result = run(state)
    assert result["changed"] and result["stage"] == stage and kind.calls == calls
    assert not run("reverted" if state == "swapped" else state)["changed"] or state == "swapped"


def test_who_uses_it_is_stopped_before_it_and_started_after_it(run, kind):
    run("prepared")
    kind.calls = []
    result = run("swapped", services=[API])
    assert kind.calls == ["stop api", "close", "open restored", "start api", "confirm api"]
    assert [change["thing"] for change in result["changes"]] == ["files app", "api"]
    kind.calls = []
    run("reverted", services=[API])
    assert kind.calls == ["stop api", "close", "open", "start api"]


def test_where_who_uses_it_does_not_work_with_what_was_restored_it_goes_back(run, kind):
    run("prepared")
    run.writers.ill = True
    with pytest.raises(StoreError, match="api does not answer; went back"):
        run("swapped", services=[API])
    assert kind.live.read_text() == "old"
    assert kind.calls[-5:] == ["open restored", "stop api", "close", "open", "start api"]


@pytest.mark.parametrize("state", ["prepared", "reverted", "pruned"])
def test_who_was_stopped_by_a_killed_run_is_started_by_the_next_one_which_need_not_name_it(run, kind, state):
    run("prepared")
    kind.fail = "killed"
    with pytest.raises(KeyboardInterrupt):
        run("swapped", services=[API])
    kind.fail, kind.calls = None, []
    run(state)
    assert kind.calls == ["open", "start api"]


def test_another_backup_can_be_prepared_where_what_was_stopped_does_not_start(run, kind, tmp_path):
    run("prepared")
    kind.fail = "killed"
    with pytest.raises(KeyboardInterrupt):
        run("swapped")
    kind.fail = "open"
    with pytest.raises(StoreError, match="open failed"):
        run("reverted")
    newer = make_backup(tmp_path / "backups", day=3)
    assert run("prepared", backup=newer.name)["stage"] == "prepared"
    assert run("swapped")["stage"] == "swapped"


def test_of_a_preparation_that_cannot_be_cleaned_up_the_reason_is_told_and_the_next_run_goes_on(
    run, kind, tmp_path, monkeypatch
):
    kind.fail = "prepare"
    with monkeypatch.context() as patch, pytest.raises(StoreError, match="prepare failed"):
        patch.setattr(
            _path_swap, "remove", lambda path: (_ for _ in ()).throw(OSError(30, "Read-only file system", path))
        )
        run("prepared")
    kind.fail = None
    assert run("prepared", now=NOW + 60)["stage"] == "prepared"
    assert names(tmp_path) == ["app", "app.restored"]


def test_two_restores_in_one_second_keep_what_they_keep_apart(run, kind, tmp_path):
    for _time in range(2):
        for state in ("prepared", "swapped", "reverted"):
            run(state)
    assert kind.live.read_text() == "old"
    assert names(tmp_path) == ["app", "app.failed", "app.failed"]


def cut_off(tmp_path, stage, **entry):
    (path,) = (tmp_path / "journal").glob("*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "stage": stage, **entry}))


@pytest.mark.parametrize(
    ("stage", "state"),
    [("swapping", "pruned"), ("reverting", "prepared"), ("reverting", "pruned"), ("reverting", "swapped")],
)
def test_after_a_kill_in_the_middle_only_finishing_or_going_back_will_do(run, tmp_path, stage, state):
    run("prepared")
    cut_off(tmp_path, stage)
    with pytest.raises(StoreError, match="was cut off"):
        run(state)


def test_after_a_kill_in_the_exchange_the_same_states_again_bring_it_to_its_end(run, kind, tmp_path, monkeypatch):
    run("prepared")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(
            _path_restore,
            "reached",
            lambda name: (_ for _ in ()).throw(KeyboardInterrupt) if name == "path_restore:one" else None,
        )
        run("swapped", services=[API])
    kind.calls = []
    look = run("prepared", check_mode=True)
    assert (look["stage"], look["open"], look["changed"]) == ("swapping", True, False)
    assert not run("prepared")["changed"] and kind.calls == []
    newer = make_backup(tmp_path / "backups", day=3)
    with pytest.raises(StoreError, match="prepared already: swap or revert it before"):
        run("prepared", backup=newer.name)
    assert run("swapped", services=[API])["stage"] == "swapped"
    assert kind.live.read_text() == "new" and kind.calls[-2:] == ["start api", "confirm api"]


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_run_that_is_refused_names_what_is_still_stopped(run, tmp_path, check_mode):
    run("prepared")
    cut_off(tmp_path, "swapping", closed=True, writers=[API])
    newer = make_backup(tmp_path / "backups", day=3)
    with pytest.raises(
        StoreError, match=r"prepared already.*; still stopped .* app, api; restore_state=reverted starts"
    ):
        run("prepared", backup=newer.name, check_mode=check_mode)
    cut_off(tmp_path, "swapping", closed=False)
    with pytest.raises(StoreError, match=r"before another one$"):
        run("prepared", backup=newer.name, check_mode=check_mode)


def test_what_has_served_is_not_held_against_its_backup_once_more(run, kind, monkeypatch):
    run("prepared")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run.writers, "start", lambda *_arguments: (_ for _ in ()).throw(KeyboardInterrupt))
        run("swapped", services=[API])
    assert kind.calls[-1] == "open restored"
    assert run("swapped", services=[API])["stage"] == "swapped"
    assert kind.calls[-3:] == ["open", "start api", "confirm api"] and kind.live.read_text() == "new"
    for state in ("reverted", "prepared", "swapped"):
        run(state)
    assert kind.calls[-1] == "open restored"


@pytest.mark.parametrize("stage", ["prepared", "swapping"])
def test_where_the_journal_cannot_be_written_what_was_stopped_is_started(run, kind, monkeypatch, stage):
    run("prepared")
    kind.calls = []
    write = Journal.write

    def full(journal, entry):
        if entry["stage"] == stage:
            raise JournalError("no space left")
        write(journal, entry)

    monkeypatch.setattr(Journal, "write", full)
    with pytest.raises(StoreError, match="no space left"):
        run("swapped", services=[API])
    assert kind.live.read_text() == "old"
    assert kind.calls == (["open"] if stage == "prepared" else ["stop api", "close", "open", "start api"])


def test_nothing_can_be_put_in_place_that_was_not_prepared(run):
    with pytest.raises(StoreError, match="run with state prepared first"):
        run("swapped")
    assert not run("reverted")["changed"]


def test_another_backup_is_not_prepared_over_one_that_is(run, tmp_path):
    run("prepared")
    newer = make_backup(tmp_path / "backups", day=3)
    assert not run("prepared")["changed"]  # the latest of when it was begun
    with pytest.raises(StoreError, match="prepared already: swap or revert it before"):
        run("prepared", backup=newer.name)


@pytest.mark.parametrize("state", ["prepared", "swapped"])
@pytest.mark.parametrize(
    ("options", "same"),
    [
        ({"taken_before": "2026-11-02T00:00:00Z"}, True),
        ({"taken_before": "2026-11-01T00:00:00Z"}, False),
        ({"set": "other"}, False),
        ({"directory": "/elsewhere"}, False),
        ({"directory": None, "set": None}, True),
    ],
    ids=["from before then", "from after then", "of another set", "from elsewhere", "not said of what"],
)
def test_the_latest_of_something_else_is_not_what_is_prepared(run, tmp_path, state, options, same):
    make_backup(tmp_path / "backups", day=2)
    run("prepared", backup="app_20261101T000000Z")
    if state == "swapped":
        run("swapped")
    make_backup(tmp_path / "backups", day=3)
    if same:
        assert not run("prepared", **options)["changed"]
    else:
        with pytest.raises((StoreError, SetError)):
            run("prepared", **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backup": None}, "backup is missing"),
        ({"backup": "app_20261101T000000Z", "directory": None}, "set directory"),
        ({"directory": None}, "set directory and set"),
        ({"set": "other"}, "there is no whole backup"),
        ({"taken_before": "yesterday"}, "write a moment"),
        ({"taken_before": "2026-11-01T00:00:00Z"}, "no whole backup app in .* from before 2026-11-01T00:00:00Z"),
    ],
    ids=["none", "a name only", "latest of what", "no such set", "no moment", "none from before"],
)
def test_a_backup_that_is_not_named_well_is_refused(tmp_path, options, words):
    make_backup(tmp_path)
    with pytest.raises(StoreError, match=words):
        choose({**PARAMS, "directory": str(tmp_path), **options}, "files")


def test_latest_is_the_newest_that_is_proven_unless_there_is_a_reason(tmp_path):
    make_backup(tmp_path, day=1)
    newer = make_backup(tmp_path, day=2, proven=False)
    params = {**PARAMS, "directory": str(tmp_path)}
    assert choose(params, "files").name == "app_20261101T000000Z"
    assert choose({**params, "accept_unproven": "the only one from today"}, "files").name == newer.name
    before = {"accept_unproven": "x", "taken_before": "2026-11-01T12:00:00"}
    assert choose({**params, **before}, "files").name == "app_20261101T000000Z"


def test_what_is_of_another_kind_or_not_proven_or_damaged_is_refused(tmp_path):
    backup = make_backup(tmp_path, proven=False)
    with pytest.raises(StoreError, match="of the kind files, not redis"):
        choose({**PARAMS, "backup": str(backup.path), "directory": None}, "redis")
    with pytest.raises(StoreError, match="has not passed a test restore"):
        refuse_unproven(backup, "")
    assert refuse_unproven(backup, "it burns") == "NOT PROVEN, accepted because: it burns"
    (backup.path / "files.tar").write_bytes(b"dat4")
    with pytest.raises(StoreError, match="is damaged"):
        refuse_unproven(backup, "it burns")


@pytest.mark.parametrize("there", [True, False], ids=["something is live", "somebody has removed it"])
def test_whether_something_is_replaced_is_told_by_the_plan_and_by_what_goes_on_with_it(run, kind, there):
    if not there:
        kind.live.unlink()
    assert run("prepared", check_mode=True)["replaces"] is there
    assert run("prepared")["replaces"] is there
    kind.live.write_text("made anew meanwhile")
    assert run("prepared")["replaces"] is there  # of what was planned: it goes on with that
