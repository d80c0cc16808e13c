# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.modules import file_backup


@pytest.fixture
def run(end_of, tmp_path):
    places = {"directory": str(tmp_path / "backups"), "set": "app", "min_free_percent": 0}
    return lambda **options: end_of(file_backup, **{**places, **options})


@pytest.fixture
def app(tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "a").write_text("a")
    return tmp_path / "app"


def test_check_mode_predicts_and_writes_nothing(run, app, tmp_path):
    result = run(paths=[str(app)], check_mode=True)
    assert result["changed"] and result["changes"][0]["action"] == "backed up"
    assert not (tmp_path / "backups").exists()


def test_a_young_backup_is_enough(run, app):
    assert run(paths=[str(app)])["changed"]
    assert not run(paths=[str(app)], unless_younger_than="1h")["changed"]


def test_what_changes_under_the_readers_eyes_is_a_warning(run, app, monkeypatch):
    monkeypatch.setattr(file_backup.FileStore, "content", lambda _store: {"roots": {}, "changing": ["/a", "/b"]})
    (warning,) = run(paths=[str(app)])["warnings"]
    assert warning.startswith("/a (and 1 more) was written to each time it was read")


@pytest.mark.parametrize(
    ("paths", "words"),
    [(["/nothing/there"], "is not there: correct paths"), (["relative"], "write an absolute path"), ([], "name at least one")],
    ids=["missing", "relative", "none"],
)  # fmt: skip
def test_what_cannot_be_backed_up_is_said_in_one_line(run, paths, words):
    said = run(paths=paths)["msg"]
    assert said.startswith("the files app were not backed up: ") and words in said and "\n" not in said


def test_a_link_is_not_followed(run, app, tmp_path):
    (tmp_path / "link").symlink_to(app)
    assert f"is a link to {app}: name that instead" in run(paths=[str(tmp_path / "link")])["msg"]
