# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One whole run: look, remember, tell; killed, on a full disk, and with receivers that are down."""

from __future__ import annotations

import json

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _monitor_run, _monitor_store
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import now as this_moment
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check, worst_status
from ansible_collections.runbook.ops.plugins.module_utils._monitor_run import look_once, main
from ansible_collections.runbook.ops.plugins.module_utils._monitor_silence import begin
from ansible_collections.runbook.ops.plugins.module_utils._monitor_store import Store
from ansible_collections.runbook.ops.plugins.module_utils._notify import NotifyError

STEP = 300


class Killed(BaseException):
    """The process is killed here."""


class Monitored:
    """A host whose one check is what it is told to be, its receivers, and the runs of its timer."""

    def __init__(self, tmp_path, monkeypatch):
        self.path, self.patch, self.now = tmp_path, monkeypatch, 1_000_000.0
        self.status, self.down, self.got, self.kill = "ok", set(), [], None
        self.config = {
            **{"system": "shop", "host": "shop-1", "digest": "d1", "timeout_seconds": 5, "probes": []},
            **{"policy": {"after": 2, "clear": 3, "remind_seconds": 14400}, "textfile": str(tmp_path / "shop.prom")},
            "channels": {"email": {}, "webhook": {}},
        }
        self.store = Store(str(tmp_path / "disk"), str(tmp_path / "memory"))
        with self.store.locked():
            pass
        monkeypatch.setattr(_monitor_run, "check_health", self.check_health)
        monkeypatch.setattr(_monitor_run, "send", self.send)
        real = _monitor_store.replace_file

        def replace_file(path, *arguments, **options):
            self.maybe_die("before", path.name)
            real(path, *arguments, **options)
            self.maybe_die("after", path.name)

        monkeypatch.setattr(_monitor_store, "replace_file", replace_file)

    def maybe_die(self, *place):
        if self.kill == place:
            self.kill = None
            raise Killed

    def check_health(self, _probes, **_options):
        self.maybe_die("look")
        one = make_check("disk:/", name="Disk /", section="Host", status=self.status, value=97.0, detail="full")
        return {"checks": [one], "status": worst_status([one]), "msg": self.status, "summary": {}, "seconds": 0.1}

    def send(self, channel, message, _settings, _secrets):
        self.maybe_die("send", channel)
        if channel in self.down:
            raise NotifyError("no answer")
        self.got.append((channel, message["id"], message["events"][0]["kind"]))
        self.maybe_die("sent", channel)

    def run(self, statuses="c"):
        """Run once for each letter; return the problems of the last run, None where it was killed."""
        problems = None
        for letter in statuses:
            self.status = {"o": "ok", "w": "warning", "c": "critical"}[letter]
            self.now += STEP
            try:
                problems = look_once(self.config, {}, self.store, now=self.now)
            except Killed:
                problems = None
        return problems

    def kinds(self, channel):
        return [kind for name, _identity, kind in self.got if name == channel]


@pytest.fixture
def host(tmp_path, monkeypatch):
    return Monitored(tmp_path, monkeypatch)


def test_a_fault_is_told_once_to_each_receiver_and_so_is_its_end(host):
    assert host.run("occccooooo") == []
    assert host.kinds("email") == host.kinds("webhook") == ["alert", "clear"]


def test_a_hundred_flaps_send_what_the_policy_says(host):
    host.run("co" * 100)
    assert host.got == []
    host.run("ccooo" * 100)
    assert host.kinds("email") == ["alert", "clear"] * 100


def test_nothing_is_lost_or_doubled_while_the_mail_server_is_down_for_an_hour(host):
    host.down = {"email"}
    host.run("ccooo" + "o" * 2 + "ccooo")
    assert host.kinds("email") == []
    host.down = set()
    host.run("o" * 12)
    ids = [identity for name, identity, _kind in host.got if name == "email"]
    assert [kind for kind in host.kinds("email") if kind in ("alert", "clear")] == ["alert", "clear"] * 2
    assert len(ids) == len(set(ids)) == 4
    assert host.kinds("webhook").count("alert") == 3  # the mail server's fault is told there


PLACES = [
    pytest.param(("look",), [1], id="while it looks"),
    pytest.param(("before", "state.json"), [1], id="before the state is written"),
    pytest.param(("after", "state.json"), [1], id="after the state is written"),
    pytest.param(("send", "email"), [1], id="before the mail is sent"),
    pytest.param(("sent", "webhook"), [1, 2], id="after the webhook took it, before that is noted"),
    pytest.param(("before", "history.jsonl"), [1], id="before the history is written"),
]


@pytest.mark.parametrize(("place", "times"), PLACES)
def test_a_run_killed_anywhere_loses_nothing_and_doubles_only_under_the_same_id(host, place, times):
    host.run("c")
    host.kill = place
    host.run("cccc")
    for channel in ("email", "webhook"):
        ids = [identity for name, identity, _kind in host.got if name == channel]
        assert len(ids) in times
        assert len(set(ids)) == 1


def test_a_full_disk_stops_no_alert_and_doubles_none(host, monkeypatch):
    real = _monitor_store.replace_file

    def full(path, *arguments, **options):
        if path.is_relative_to(host.store.directory):
            raise OSError(28, "No space left on device", str(path))
        real(path, *arguments, **options)

    monkeypatch.setattr(_monitor_store, "replace_file", full)
    problems = host.run("ccccc")
    assert host.kinds("email") == ["alert"]
    assert "No space left" in problems[0]
    monkeypatch.setattr(_monitor_store, "replace_file", real)
    host.run("ooo")
    assert host.kinds("email") == ["alert", "clear"]


def test_with_no_place_left_for_its_state_it_still_tells(host, monkeypatch):
    host.run("c")
    monkeypatch.setattr(
        _monitor_store, "replace_file", lambda *_, **_options: (_ for _ in ()).throw(OSError(28, "full"))
    )
    host.run("c")
    assert host.kinds("email") == ["alert"]


def test_a_configuration_that_cannot_be_used_is_told_too(host, monkeypatch):
    def refuse(*_arguments, **_options):
        raise ValueError("probes[0]: there is no probe 'dsik'")

    monkeypatch.setattr(_monitor_run, "check_health", refuse)
    host.run("cc")
    assert host.kinds("email") == ["alert"]


def test_metrics_and_history_are_written(host):
    host.run("w")
    assert 'runbook_check_status{id="disk:/"' in (host.path / "shop.prom").read_text(encoding="utf-8")
    assert json.loads(host.store.history.read_text(encoding="utf-8"))["values"] == {"disk:/": 97.0}


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


GOOD = {
    **{"system": "s", "host": "h", "digest": "d", "timeout_seconds": 1, "channels": {}},
    **{"policy": {"after": 2, "clear": 3, "remind_seconds": 0}, "probes": [{"probe": "memory"}]},
}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        pytest.param("{", "is not JSON", id="half a file"),
        pytest.param([], "is not a mapping", id="a list"),
        pytest.param({**GOOD, "probes": [{"probe": "dsik"}]}, "no probe 'dsik'", id="a probe that does not exist"),
        pytest.param({**GOOD, "probes": [{"probe": "disk", "x": 1}]}, "no option 'x'", id="an option that does not"),
        pytest.param({**GOOD, "policy": {"often": 1}}, "often", id="a policy that does not"),
        pytest.param({key: GOOD[key] for key in GOOD if key != "host"}, "lacks host", id="a key is missing"),
    ],
)
def test_a_wrong_configuration_is_refused_before_anything_is_looked_at(tmp_path, capsys, config, words):
    arguments = ["check", write(tmp_path / "c.json", config), write(tmp_path / "s.json", {})]
    assert main(arguments) == 2
    assert words in capsys.readouterr().err


def test_a_right_configuration_is_not(tmp_path):
    assert main(["check", write(tmp_path / "c.json", GOOD), write(tmp_path / "s.json", {})]) == 0


def test_a_run_of_the_timer_looks_and_remembers(tmp_path, capsys):
    config = {**GOOD, "directory": str(tmp_path / "disk"), "runtime": str(tmp_path / "memory")}
    arguments = ["run", write(tmp_path / "c.json", config), write(tmp_path / "s.json", {})]
    assert main(arguments) == 0
    assert "1 ok" in capsys.readouterr().out
    assert json.loads((tmp_path / "disk" / "state.json").read_text(encoding="utf-8"))["status"] == "ok"


def test_what_is_seen_in_a_silence_counts_for_nothing_and_afterwards_as_ever(host):
    host.run("o")
    host.status, host.now = "critical", host.now + STEP
    for _look in range(5):
        look_once(host.config, {}, host.store, now=host.now, silent=True)
    assert host.got == []
    assert host.store.load()["last"] == {"disk:/": "critical"}
    host.run("c")
    assert host.got == []
    host.run("c")
    assert host.kinds("email") == ["alert"]


def test_the_timer_s_run_is_silent_while_somebody_works_and_says_for_what(host, tmp_path, capsys):
    begin("deploy-shop", "aaa", reason="v2", seconds=60, now=this_moment(), directory=str(tmp_path / "disk"))
    paths = [tmp_path / "monitor.json", tmp_path / "secrets.json"]
    paths[0].write_text(json.dumps({**host.config, "directory": str(tmp_path / "disk"), "runtime": str(tmp_path)}))
    paths[1].write_text("{}")
    host.status = "critical"
    for _look in range(3):
        main(["run", *map(str, paths)])
    assert host.got == []
    assert "nothing is counted for deploy-shop (run aaa: v2)" in capsys.readouterr().out
