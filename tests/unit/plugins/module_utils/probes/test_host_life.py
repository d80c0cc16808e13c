# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is busy with, who listens on it, which names it finds, and whether its clock is right."""

from __future__ import annotations

import socket
import threading
import time
from email.utils import formatdate
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._http import Answer
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError, read_options
from ansible_collections.runbook.ops.plugins.module_utils.probes import clock, cpu, dns, listening, processes

# Cut from a host: SSH on all addresses, a program on the loopback address, an established connection, and both of IPv6.
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0
   1: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 22 1 0
   2: 0100007F:0BB8 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 33 1 0
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx rx tr tm uid timeout inode
   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 44 1 0
   1: 00000000000000000000000001000000:0CEA 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 55 1 0
   2: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 66 1 0
"""


def options(probe: Any, **raw: Any) -> dict[str, Any]:
    return read_options({"probe": "x", "section": "Host", **raw}, probe.OPTIONS, where="probes[0]")


def test_only_what_listens_counts_and_loopback_is_told_apart() -> None:
    assert listening.listening(TCP) == [(22, True, "11"), (3000, False, "22")]
    assert listening.listening(TCP6) == [(443, True, "44"), (3306, False, "55"), (8080, False, "66")]


def test_a_socket_of_ours_is_seen_with_its_program() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        measured = listening.measure(options(listening, expected=[str(port)]))
        assert port in [one for one, _outside, _inode in measured["sockets"]]
        inode = next(inode for one, _outside, inode in measured["sockets"] if one == port)
        assert listening.programs({inode})[inode]


SOCKETS = {"sockets": [(22, True, "11"), (9090, True, "12"), (3000, False, "13")], "programs": {"12": "prometheus"}}


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        pytest.param(["22=SSH", "9090"], ["ok", "ok", "ok"], id="all that should and no other"),
        pytest.param(["22", "443", "9090"], ["ok", "critical", "ok", "ok"], id="one that should and does not"),
        pytest.param(["22", "127.0.0.1:9090"], ["ok", "warning", "ok"], id="reached from outside"),
        pytest.param(["22"], ["ok", "warning"], id="a stranger"),
    ],
)
def test_who_listens_is_compared_with_who_should(expected: list[str], found: list[str]) -> None:
    checks = listening.judge(SOCKETS, options(listening, expected=expected))
    assert [check["status"] for check in checks] == found


def test_a_stranger_is_named_with_its_program() -> None:
    assert listening.judge(SOCKETS, options(listening, expected=["22"]))[-1]["detail"] == "9090 (prometheus)"
    told = options(listening, expected=["22"], ignore=[9090])
    assert listening.judge(SOCKETS, told)[-1]["status"] == "ok"


@pytest.mark.parametrize("word", ["ssh", "0", "70000", "10.0.0.1:22"])
def test_what_is_no_port_is_said(word: str) -> None:
    with pytest.raises(ProbeError, match="is no port"):
        listening.parse(word)


@pytest.mark.parametrize(
    ("measured", "more", "status", "words"),
    [
        ({"kept": True, "offset": 0.001, "exact": 0.0}, {}, "ok", "kept right"),
        ({"kept": False, "offset": None, "exact": 0.0}, {}, "ok", "nothing keeps it right"),
        ({"kept": False, "offset": None, "exact": 0.0}, {"synchronised": True}, "warning", "nothing keeps it right"),
        ({"kept": True, "offset": 5.2, "exact": 0.5}, {}, "warning", "ahead"),
        ({"kept": True, "offset": -600.0, "exact": 0.5}, {}, "critical", "behind"),
        ({"kept": True, "offset": 2.3, "exact": 0.5}, {}, "ok", "kept right"),
    ],
)
def test_a_clock_is_judged_by_what_is_sure(measured: Any, more: Any, status: str, words: str) -> None:
    (check,) = clock.judge(measured, options(clock, **more))
    assert check["status"] == status
    assert words in check["detail"]


def test_the_kernel_tells_about_its_clock_and_nothing_is_set() -> None:
    assert isinstance(clock.measure(options(clock))["kept"], bool)


@pytest.mark.parametrize("text", ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nDate: yesterday\r\n\r\n"])
def test_a_server_that_tells_no_time_is_no_comparison(text: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _address = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(text.encode())

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(ProbeError, match="does not tell the time"):
            clock.measure(options(clock, url=f"http://127.0.0.1:{server.getsockname()[1]}/"))


def test_a_clock_that_is_wrong_is_found_though_it_trusts_no_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    an_hour_ago = formatdate(time.time() - 3600, usegmt=True)

    def answer(url: str, *, verify: bool = True, **_how: Any) -> Answer:
        assert (url, verify) == ("https://elsewhere.example/", False)
        return Answer(200, {"date": an_hour_ago}, b"", truncated=False, seconds=0.1)

    monkeypatch.setattr(clock, "ask", answer)
    told = options(clock, url="https://elsewhere.example/")
    (check,) = clock.judge(clock.measure(told), told)
    assert (check["status"], check["limit"]) == ("critical", 30)
    assert check["value"] == pytest.approx(3600, abs=60)
    assert check["detail"].startswith("ahead")


def test_processor_time_is_what_was_neither_idle_nor_waiting() -> None:
    assert cpu.parse_stat("cpu  100 10 40 5000 600 5 5 20 0 0", 100) == pytest.approx(1.80)


def test_the_processor_time_of_this_host_grows() -> None:
    before = cpu.used_seconds()
    sum(number * number for number in range(300_000))
    assert cpu.used_seconds() > before


def test_a_peak_is_measured_again_and_a_load_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(cpu.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(cpu, "_used", lambda seconds: asked.append(seconds) or (1.9 if seconds < 1 else 0.4))
    measured = cpu.measure(options(cpu, percent={"warning": 80}))
    assert asked == [0.1, 2.0]
    assert cpu.judge(measured, options(cpu, percent={"warning": 80}))[0]["status"] == "ok"
    measured = {"used": 1.9, "count": 2}
    assert cpu.judge(measured, options(cpu, percent={"warning": 80}))[0]["status"] == "warning"


def test_the_name_of_a_process_may_hold_anything() -> None:
    fields = " ".join(["S", *["0"] * 10, "150", "50", *["0"] * 8, "3"])
    found = processes.parse(7, f"7 (a) (b) {fields}", 100, 4096)
    assert (found.name, found.state, found.cpu_seconds, found.memory_bytes) == ("a) (b", "S", 2.0, 12288)


def test_the_hungriest_are_told_and_limits_judge_them() -> None:
    measured = {
        "cpu": [(180.0, "loop", 7), (0.0, "idle", 8)],
        "memory": [(600, "hog", 9), (10, "mouse", 10)],
        "zombies": ["dead"] * 25,
        "all_bytes": 1000,
    }
    asked = options(processes, cpu_percent={"warning": 150}, memory_percent={"critical": 50})
    busy, large, zombies = processes.judge(measured, asked)
    assert (busy["status"], busy["detail"]) == ("warning", "loop (7) 180 %")
    assert (large["status"], large["value"]) == ("critical", 60.0)
    assert (zombies["status"], zombies["value"], zombies["detail"]) == ("warning", 25, "dead")


def test_the_processes_of_this_host_are_seen() -> None:
    assert processes.measure(options(processes, sample_seconds=0.01))["memory"]


def test_a_name_that_leads_nowhere_is_named_with_who_was_asked() -> None:
    measured = {"failed": {"api.example": "Name or service not known"}, "seconds": 0.1, "resolvers": ["192.0.2.1"]}
    (check,) = dns.judge(measured, options(dns, names=["api.example", "localhost"]))
    assert (check["id"], check["status"]) == ("dns:names", "critical")
    assert check["detail"] == "1 of 2 not found (resolvers 192.0.2.1): api.example: Name or service not known"


def test_a_resolver_that_does_not_answer_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    monkeypatch.setattr(dns.socket, "getaddrinfo", lambda *_what, **_how: held.wait(10))
    measured = dns.measure(options(dns, names=["api.example"], timeout_seconds=0.1))
    held.set()
    assert measured["failed"] == {"api.example": "no answer in time"}


def test_this_host_finds_itself() -> None:
    assert dns.measure(options(dns, names=["localhost"]))["failed"] == {}


def test_the_resolvers_are_read_from_their_file() -> None:
    assert dns.resolvers("search a\nnameserver 192.0.2.1\n# nameserver x\nnameserver 192.0.2.2\n") == [
        "192.0.2.1",
        "192.0.2.2",
    ]
