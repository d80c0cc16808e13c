# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the timer runs at night: one file, without Ansible and without this tree."""

from __future__ import annotations

import fcntl
import importlib
import json
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft
from ansible_collections.runbook.ops.plugins.module_utils._backup_job_index import CORES, DEFAULTS
from ansible_collections.runbook.ops.plugins.module_utils._backup_job_run import LOG_BYTES, alone, append, run_job
from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import read_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_schedule import MAIN, START
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import list_backups, locked
from ansible_collections.runbook.ops.plugins.module_utils._backup_tasks import MODULES
from ansible_collections.runbook.ops.plugins.module_utils._engine_file import build_engine, needed_sources
from ansible_collections.runbook.ops.plugins.module_utils._engine_host import read_source


@pytest.fixture(scope="module")
def sources():
    return needed_sources(read_source, START)


@pytest.fixture(scope="module")
def engine(sources, tmp_path_factory):
    path = tmp_path_factory.mktemp("engine") / "backup.pyz"
    path.write_bytes(build_engine(sources, MAIN))
    return path


def config_of(directory, **options):
    options = {"directory": str(directory), "set": "daily", "keep": {"last": 3}, "minimum_verified": 0, **options}
    task = {
        "job": "daily",
        "module": "backup_rotate",
        "name": "shop",
        "set": "daily",
        "options": options,
        "secrets": {},
    }
    job = {"tasks": [task], "log": str(directory / "logs/backup.log"), "success": "daily backup completed"}
    return {"jobs": {"daily": job}, "attempts": 1, "retry_seconds": 0}


def call(engine, config, secrets, folder, *arguments):
    for name, content in (("c.json", config), ("s.json", secrets)):
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    command = [sys.executable, "-I", str(engine), *arguments, str(folder / "c.json"), str(folder / "s.json")]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", env={}, check=False)


def make_backups(directory, count):
    directory.mkdir(exist_ok=True)
    for number in range(count):
        at = datetime.now(timezone.utc) - timedelta(days=number)
        with locked(directory, "daily"), Draft.begin(directory, "daily", at) as draft:
            with draft.create("x.dump") as file:
                file.write(b"x" * 100)
            draft.seal({"kind": "files", "taken_at": at.isoformat()})


def test_the_engine_does_what_the_module_does(engine, tmp_path):
    directory = tmp_path / "backups"
    make_backups(directory, 5)
    done = call(engine, config_of(directory, minimum=1), {}, tmp_path, "run", "daily")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list_backups(directory, "daily")) == 3
    log = (directory / "logs/backup.log").read_text(encoding="utf-8")
    assert "Z daily backup completed: 2 of daily pruned" in log


def test_the_engine_makes_a_backup_tries_it_out_and_says_so(engine, tmp_path):
    (tmp_path / "precious").write_text("precious", encoding="utf-8")
    directory = tmp_path / "backups"
    config, shared = config_of(directory, minimum=1), {"directory": str(directory), "set": "daily"}
    wanted = (
        ("file_backup", {**shared, "paths": [str(tmp_path / "precious")], "exclude": [], "min_free_percent": 0}),
        ("backup_verify", {**shared, "drill": True, "drill_max_age": 86400}),
    )
    rotation = config["jobs"]["daily"]["tasks"][0]
    tasks = [{**rotation, "module": module, "options": options} for module, options in wanted]
    config["jobs"]["daily"]["tasks"] = [*tasks, rotation]
    done = call(engine, config, {}, tmp_path, "run", "daily")
    assert (done.returncode, done.stderr) == (0, "")
    (backup,) = list_backups(directory, "daily")
    assert read_proof(backup)["drill"]["passed"]
    assert f"daily backup completed: {backup.name}" in (directory / "logs/backup.log").read_text(encoding="utf-8")


def test_what_fails_ends_with_a_failure_and_a_line_that_says_why(engine, tmp_path):
    config = config_of(tmp_path / "nowhere")
    config["jobs"]["daily"]["log"] = str(tmp_path / "backup.log")
    done = call(engine, config, {}, tmp_path, "run", "daily")
    assert done.returncode == 1
    assert "daily backup failed: backup_rotate daily:" in (tmp_path / "backup.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda config: config.pop("attempts"), "lacks attempts", id="an incomplete file"),
        pytest.param(lambda config: config["jobs"]["daily"].update(tasks=[]), "has no tasks", id="nothing to do"),
        pytest.param(
            lambda config: config["jobs"]["daily"]["tasks"][0].update(module="rm"),
            "runs the module 'rm'",
            id="a strange module",
        ),
        pytest.param(
            lambda config: config["jobs"]["daily"]["tasks"][0].update(secrets={"login_password": "database:x"}),
            "the secret database:x is missing",
            id="a secret that is not there",
        ),
    ],
)
def test_a_configuration_that_cannot_be_followed_is_refused(engine, tmp_path, change, message):
    config = config_of(tmp_path)
    change(config)
    done = call(engine, config, {}, tmp_path, "check")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_secrets_reach_the_code_of_the_module_and_nothing_else(tmp_path, capsys):
    config, seen = config_of(tmp_path), []
    config["jobs"]["daily"]["tasks"][0]["secrets"] = {"login_password": "database:shop"}
    outcomes = run_job(
        config,
        {"database:shop": "s3cret"},
        "daily",
        cores={"backup_rotate": lambda options: seen.append(options) or {}},
    )
    assert seen[0]["login_password"] == "s3cret"
    told = capsys.readouterr()
    assert "s3cret" not in told.out + told.err + str(outcomes) + (tmp_path / "logs/backup.log").read_text(
        encoding="utf-8"
    )


def test_one_job_of_a_host_waits_for_another(tmp_path, capsys):
    path, done = str(tmp_path / "lock"), []

    def other():
        with alone(path):
            done.append("other")

    thread = threading.Thread(target=other)
    said, end = "", time.monotonic() + 60
    with alone(path):
        thread.start()
        while not said and time.monotonic() < end:
            time.sleep(0.01)
            said = capsys.readouterr().out
        done.append("this")
    thread.join(60)
    assert done == ["this", "other"]
    assert said == "waits for another job of this host\n"


def test_a_mirror_keeps_no_other_job_of_the_host_waiting(tmp_path):
    path, config, done = str(tmp_path / "lock"), config_of(tmp_path), []
    (rotation,) = config["jobs"]["daily"]["tasks"]
    mirror = {**rotation, "module": "bucket_sync", "name": "media", "set": None}
    mirror["options"] = {"name": "media", "source": {}, "target": {}}
    config["jobs"]["daily"]["tasks"] = [rotation, mirror]

    def is_free():
        with Path(path).open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    cores = {name: lambda _options, name=name: done.append((name, is_free())) or {} for name in CORES}
    with alone(path) as let_others:
        outcomes = run_job(config, {}, "daily", cores=cores, let_others=let_others)
    assert [one.error for one in outcomes] == [None, None]
    assert done == [("backup_rotate", False), ("bucket_sync", True)]


def test_where_no_lock_can_be_had_a_job_runs_all_the_same(tmp_path, capsys):
    with alone(str(tmp_path / "none/lock")):
        pass
    assert "another job may run beside this one" in capsys.readouterr().out


def test_a_log_that_has_grown_long_makes_room_and_stays_one_that_is_read(tmp_path):
    log = tmp_path / "backup.log"
    log.write_text("x" * (LOG_BYTES + 1), encoding="utf-8")
    append(log, ["new"])
    assert log.read_text(encoding="utf-8") == "new\n"
    assert (tmp_path / "backup.log.1").stat().st_size > LOG_BYTES


def test_the_engine_holds_nothing_of_ansible(sources):
    assert "import ansible." not in "".join(sources.values())
    assert not [name for name, source in sources.items() if "from ansible.module_utils" in source]


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_the_options_are_by_default_what_the_module_says(name):
    module = importlib.import_module(f"ansible_collections.runbook.ops.plugins.modules.{name}")
    said = {key: spec.get("default") for key, spec in module.ARGUMENTS.items() if not spec.get("required")}
    assert DEFAULTS[name] == said


def test_every_module_that_a_description_asks_for_is_known():
    assert sorted(CORES) == sorted(MODULES)
    assert set(DEFAULTS) <= set(CORES)
