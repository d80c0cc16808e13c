# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alerts are silent while somebody works, speak again afterwards, and keep nobody from working."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _alert_silence, _http, _monitor_silence
from ansible_collections.runbook.ops.plugins.module_utils._alert_silence import Work, silencing
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import StateError
from ansible_collections.runbook.ops.plugins.module_utils._http import HttpError

WORK = Work("deploy-shop", "aaa", "v2", "ada", "http://alerts")


class Host:
    """A monitor in a directory, and an Alertmanager that notes what it is asked for."""

    def __init__(self, tmp_path, monkeypatch):
        self.directory, self.asked, self.down, self.says = tmp_path, [], 0, b'{"silenceID": "s1"}'
        begin, end = _monitor_silence.begin, _monitor_silence.end
        monkeypatch.setattr(_alert_silence, "ask", self.ask)
        monkeypatch.setattr(_monitor_silence, "is_here", lambda: True)
        monkeypatch.setattr(_monitor_silence, "begin", lambda *a, **k: begin(*a, directory=str(tmp_path), **k))
        monkeypatch.setattr(_monitor_silence, "end", lambda *a: end(*a, directory=str(tmp_path)))

    def ask(self, url, *, method, body, **_options):
        if self.down:
            self.down -= 1
            raise HttpError("no answer")
        self.asked.append((method, url, json.loads(body or b"{}")))
        return SimpleNamespace(status=200, body=self.says)

    def silences(self):
        return [one["work"] for one in _monitor_silence.lasting(_alert_silence.this_moment(), str(self.directory))]


@pytest.fixture
def host(tmp_path, monkeypatch):
    return Host(tmp_path, monkeypatch)


def test_the_monitor_and_alertmanager_are_silent_for_as_long_as_somebody_works(host):
    with silencing(WORK, 7200, warn=pytest.fail):
        assert host.silences() == ["deploy-shop"]
        assert [method for method, _url, _body in host.asked] == ["POST"]
    assert host.silences() == []
    assert host.asked[-1][:2] == ("DELETE", "http://alerts/api/v2/silence/s1")


def test_they_speak_again_where_the_work_fails(host):
    with pytest.raises(ValueError, match="it failed"), silencing(WORK, 7200, warn=pytest.fail):
        raise ValueError("it failed")
    assert host.silences() == []
    assert host.asked[-1][0] == "DELETE"


def test_a_long_work_prolongs_the_silence_that_is_there(host, monkeypatch):
    monkeypatch.setattr(_alert_silence, "LEASE_SECONDS", 0.03)
    with silencing(WORK, 7200, warn=pytest.fail):
        deadline = time.monotonic() + 10
        while len(host.asked) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    first, second = (body for _method, _url, body in host.asked[:2])
    assert "id" not in first
    assert second["id"] == "s1"
    assert second["startsAt"] == first["startsAt"]


def test_they_are_not_silent_for_longer_than_is_described(host, monkeypatch):
    monkeypatch.setattr(_alert_silence, "LEASE_SECONDS", 0.03)
    with silencing(WORK, 0.001, warn=pytest.fail):
        time.sleep(0.2)
        assert len(host.asked) == 1


@pytest.mark.parametrize("seconds", [None, 0])
def test_nobody_is_silenced_where_nothing_says_for_how_long(host, seconds):
    with silencing(WORK, seconds, warn=pytest.fail):
        assert (host.silences(), host.asked) == ([], [])


def test_an_alertmanager_that_does_not_answer_keeps_nobody_from_working(host):
    host.down, said = 99, []
    with silencing(WORK, 7200, warn=said.append):
        assert host.silences() == ["deploy-shop"]
    assert host.silences() == []
    assert said == ["alerts are not all silenced: no answer"]


@pytest.mark.parametrize(
    "says",
    [b"<html>Log in</html>", b"{}", b"[]", b"null"],
    ids=["a page to log in", "no identifier", "a list", "nothing"],
)
def test_what_is_no_alertmanager_keeps_nobody_from_working(host, says):
    host.says, said = says, []
    with silencing(WORK, 7200, warn=said.append):
        assert host.silences() == ["deploy-shop"]
    assert said == [
        "alerts are not all silenced: what answers at http://alerts is no Alertmanager: correct ops_monitoring.alertmanager.url"
    ]


def test_an_address_that_is_none_keeps_nobody_from_working(host, monkeypatch):
    monkeypatch.setattr(_alert_silence, "ask", _http.ask)
    said = []
    with silencing(WORK._replace(url="alertmanager:9093"), 7200, warn=said.append):
        assert host.silences() == ["deploy-shop"]
    assert "'alertmanager:9093/api/v2/silences' is not a URL" in said[0]


def test_what_could_not_be_silenced_at_first_is_silenced_a_moment_later_and_the_monitor_goes_on_being(
    host, monkeypatch
):
    monkeypatch.setattr(_alert_silence, "LEASE_SECONDS", 0.03)
    begun, begin = [], _monitor_silence.begin
    monkeypatch.setattr(_monitor_silence, "begin", lambda *a, **k: begun.append(a) or begin(*a, **k))
    host.down, said = 1, []
    with silencing(WORK, 7200, warn=said.append):
        deadline = time.monotonic() + 10
        while (len(begun) < 3 or not host.asked) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert said == ["alerts are not all silenced: no answer"]
    assert host.asked[0][0] == "POST"
    assert host.asked[-1][0] == "DELETE"


def test_alertmanager_is_silenced_where_the_monitor_cannot_be(host, monkeypatch):
    def begin(*_arguments, **_options):
        raise StateError("cannot make silences: Permission denied")

    monkeypatch.setattr(_monitor_silence, "begin", begin)
    monkeypatch.setattr(_monitor_silence, "end", begin)
    said = []
    with silencing(WORK, 7200, warn=said.append):
        assert [method for method, _url, _body in host.asked] == ["POST"]
    assert host.asked[-1][0] == "DELETE"
    assert len(said) == 2
