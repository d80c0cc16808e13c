# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor in a directory that stands for a host, with a systemd that does what it is told."""

from __future__ import annotations

import contextlib
import functools
import json

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _monitor_install
from ansible_collections.runbook.ops.plugins.module_utils._engine_apply import EngineError
from ansible_collections.runbook.ops.plugins.module_utils._monitor_host import Host, MonitorError
from ansible_collections.runbook.ops.plugins.modules import monitor

from ._engines import Programs, tree

OPTIONS = {
    **{"state": "present", "system": "shop", "host": "shop-1", "probes": [{"probe": "memory"}], "secrets": {}},
    **{"timeout_seconds": 30.0, "interval_seconds": 300, "after": 2, "clear": 3, "remind_seconds": 14400},
    **{"email": "ops@shop.example", "email_from": None, "webhook_url": "http://hook/s3cret", "webhook_format": "json"},
    "smtp": {"host": "mail", "port": 25, "tls": "none", "user": "me", "password": "s3cret", "ca_path": None},
    **{"webhook_ca_path": None, "alive_url": None, "textfile_directory": None},
    **{"replaces": ["/srv/healthcheck.sh"], "replace_cron": False},
}
SOURCES = functools.cache(_monitor_install.needed_sources)
CRON = "*/5 * * * * root /srv/healthcheck.sh\n"


@pytest.fixture(autouse=True)
def sources_read_once(monkeypatch):
    monkeypatch.setattr(_monitor_install, "needed_sources", SOURCES)


class FakeHost(Programs):
    """With one timer, and an engine that notes that it ran."""

    def __init__(self, root):
        super().__init__(root)
        self.enabled, self.active, self.loaded = "", "inactive", {}

    def answer(self, *arguments):
        if arguments[0] == "show":
            stale = "yes" if self.loaded != self.units() else "no"
            state = f"UnitFileState={self.enabled}\nActiveState={self.active}\nNeedDaemonReload={stale}\n"
            return f"Id={_monitor_install.TIMER}\n{state}"
        if arguments[0] in ("daemon-reload", "restart"):
            self.loaded = self.units()
        if arguments[0] in ("enable", "disable"):
            self.enabled = f"{arguments[0]}d"
        if arguments[0] in ("restart", "disable"):
            self.active = "active" if arguments[0] == "restart" else "inactive"
        if arguments[0] == "start":
            config = json.loads((self.root / "etc/runbook-ops/monitor.json").read_text(encoding="utf-8"))
            folder = self.root / "var/lib/runbook-ops/monitor"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "state.json").write_text(json.dumps({"saved": 1, "config": config["digest"]}), encoding="utf-8")
        return None

    def units(self):
        return {path.name: path.read_bytes() for path in (self.root / "etc/systemd/system").glob("*.*")}


@pytest.fixture
def host(tmp_path):
    host = FakeHost(tmp_path)
    (tmp_path / "etc/cron.d/shop").write_text(CRON, encoding="utf-8")
    return host


def run(host, *, check_mode=False, **options):
    host.calls = []
    return monitor.run({**OPTIONS, **options}, Host(host, root=str(host.root)), check_mode=check_mode)


def test_check_mode_looks_but_does_not_touch_and_predicts_what_the_run_does(host):
    before = tree(host)
    predicted = run(host, check_mode=True)
    assert tree(host) == before
    assert host.acted == ["python -I"]
    made = run(host)
    assert {**made, "checks": None} == {**predicted, "checks": None}
    assert made["changed"]
    assert made["monitor"]["timer"]


def test_a_second_run_has_nothing_to_do(host):
    run(host)
    again = run(host)
    assert (again["changed"], again["changes"], host.acted) == (False, [], [])
    assert again["diff"]["before"] == again["diff"]["after"]


def test_no_secret_is_in_the_result(host):
    assert "s3cret" not in json.dumps(run(host))
    assert "s3cret" not in (host.root / "etc/runbook-ops/monitor.json").read_text(encoding="utf-8")
    assert (host.root / "etc/runbook-ops/monitor.secrets.json").stat().st_mode & 0o777 == 0o600


def test_a_new_engine_leaves_the_old_one_for_the_run_that_is_under_way(host, monkeypatch):
    run(host)
    names = []
    for number in range(3):
        monkeypatch.setattr(_monitor_install, "MAIN", f"{_monitor_install.MAIN}# {number}\n")
        names.append(run(host)["monitor"]["engine"])
    there = sorted(path.name for path in (host.root / "usr/local/lib/runbook-ops").glob("monitor-*.pyz"))
    assert there == sorted(names[-2:])
    assert run(host)["changed"] is False


def test_a_configuration_that_the_engine_refuses_changes_nothing(host):
    run(host)
    before = tree(host)
    host.fail = "python -I"
    with pytest.raises(MonitorError, match="nothing was changed"):
        run(host, interval_seconds=60)
    assert tree(host) == before


@pytest.mark.parametrize("call", ["systemctl daemon-reload", "systemctl start", "systemctl restart"])
def test_a_change_that_fails_is_put_back(host, call):
    run(host)
    before = {path: content for path, content in tree(host).items() if "state.json" not in path}
    host.fail = call
    with pytest.raises(EngineError, match=r"failed.*back in place"):
        run(host, interval_seconds=60)
    after = tree(host)
    assert {path: after.get(path) for path in before} == before


@pytest.mark.parametrize("number", range(8))
def test_what_a_kill_leaves_behind_is_what_the_next_run_goes_on_from(host, monkeypatch, number):
    class Killed(BaseException):
        pass

    real, done = Host.write, []

    def write(self, path, file):
        if len(done) == number:
            raise Killed
        done.append(path)
        real(self, path, file)

    with monkeypatch.context() as patch:
        patch.setattr(Host, "write", write)
        with contextlib.suppress(Killed):
            run(host)
    assert run(host)["monitor"]["timer"]
    assert run(host)["changed"] is False


def test_after_a_kill_before_it_was_told_systemd_knows_the_new_interval(host, monkeypatch):
    run(host)

    class Killed(BaseException):
        pass

    def link(_self, _engine):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(_monitor_install, "MAIN", f"{_monitor_install.MAIN}# new\n")
        patch.setattr(Host, "link", link)
        with contextlib.suppress(Killed):
            run(host, interval_seconds=60)
        patch.undo()
        patch.setattr(_monitor_install, "MAIN", f"{_monitor_install.MAIN}# new\n")
        run(host, interval_seconds=60)
    assert b"every 60 s" in host.loaded[_monitor_install.TIMER]
    assert host.loaded == host.units()


def test_a_timer_that_somebody_stopped_runs_again(host):
    run(host)
    host.active = "inactive"
    result = run(host)
    assert result["actions"] == ["enable runbook-ops-monitor.timer"]
    assert result["changes"][0]["reason"] == "a timer did not run"


def test_cron_is_reported_and_left_alone(host):
    result = run(host)
    assert [check["id"] for check in result["checks"]] == ["monitor:cron:etc/cron.d/shop"]
    assert (host.root / "etc/cron.d/shop").read_text(encoding="utf-8") == CRON


def test_the_password_in_a_line_of_cron_is_told_nowhere(host):
    (host.root / "etc/cron.d/shop").write_text(
        "*/5 * * * * root A_TOKEN=hunter22 /srv/healthcheck.sh\n", encoding="utf-8"
    )
    told = [run(host), run(host, replace_cron=True)]
    assert "root A_TOKEN=*** /srv/healthcheck.sh" in told[0]["checks"][0]["detail"]
    assert "hunter22" not in str(told)


def test_cron_is_replaced_where_that_is_asked_for_and_comes_back_with_the_removal(host):
    run(host, replace_cron=True)
    assert (host.root / "etc/cron.d/shop").read_text(encoding="utf-8").startswith("# runbook.ops")
    assert run(host, replace_cron=True)["changed"] is False
    run(host, state="absent")
    assert tree(host) == {"etc/cron.d/shop": CRON.encode()}


def test_what_is_removed_is_gone_and_a_second_time_there_is_nothing_to_do(host):
    run(host)
    predicted = run(host, state="absent", check_mode=True)
    made = run(host, state="absent")
    assert predicted == made
    assert tree(host) == {"etc/cron.d/shop": CRON.encode()}
    assert run(host, state="absent")["changed"] is False


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"email": None, "webhook_url": None}, "nobody is told", id="no receiver"),
        pytest.param({"textfile_directory": "/does/not/exist"}, "does not exist", id="no directory for metrics"),
    ],
)
def test_what_would_keep_it_silent_is_told(host, options, words):
    assert words in " ".join(check["detail"] for check in run(host, **options)["checks"])
