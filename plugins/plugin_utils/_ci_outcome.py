# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run came to, as one number for a pipeline. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

# Beside those of ansible-playbook, which are below 10: https://docs.ansible.com/ansible/latest/cli/ansible-playbook.html
DONE, REFUSED, ROLLED_BACK, NOT_ROLLED_BACK, NOT_REACHED = 0, 10, 11, 12, 13
WORDS = {
    DONE: "done",
    REFUSED: "refused",
    ROLLED_BACK: "rolled_back",
    NOT_ROLLED_BACK: "not_rolled_back",
    NOT_REACHED: "not_reached",
}
FAILED = {"refused": REFUSED, "rolled_back": ROLLED_BACK, "not_rolled_back": NOT_ROLLED_BACK}
SERVED = ("promoted", "rolled_back")  # a host with such a success serves something else than before


class Outcome(NamedTuple):
    """What a run came to."""

    code: int
    message: str  # why, in one line; empty where all went well
    changed: bool
    hosts: dict[str, dict[str, Any]]  # by host: outcome, release, seconds; of a host that was not reached, that

    @property
    def word(self) -> str:
        return WORDS[self.code]


def judge(events: Iterable[Mapping[str, Any]], rc: int, *, check_mode: bool = False, said: str = "") -> Outcome:
    """Return what the run came to whose ``events`` ansible-runner reports.

    :param rc: exit status of ansible-playbook
    :param said: the last thing it printed, for a run that came to no host
    """
    hosts: dict[str, dict[str, Any]] = {}
    failures: list[tuple[str, Mapping[str, Any]]] = []
    lost: list[str] = []
    changed = False
    for kind, host, data in _of_hosts(events):
        for result in _results(data.get("res") or {}):
            if kind == "runner_on_unreachable":
                lost.append(f"{host}: {_line(result)}")
                hosts.setdefault(host, {})["outcome"] = WORDS[NOT_REACHED]
            elif kind == "runner_on_failed" and not data.get("ignore_errors"):
                failures.append((host, result))
            changed = changed or bool(result.get("changes"))
            if "outcome" in result:
                keys = ("outcome", "release", "seconds", "outage_seconds")
                hosts[host] = {**hosts.get(host, {}), **{key: result[key] for key in keys if key in result}}
    changed = changed and not check_mode
    if rc == 0:
        return Outcome(DONE, "", changed, hosts)
    if lost and not failures:
        return Outcome(NOT_ROLLED_BACK if changed else NOT_REACHED, lost[0], changed, hosts)
    return _failure(failures, hosts, changed=changed, said=said)


def _failure(
    failures: list[tuple[str, Mapping[str, Any]]], hosts: dict[str, dict[str, Any]], *, changed: bool, said: str
) -> Outcome:
    # A rescue fails once more, with the words of the record: the first failure is the reason.
    host, first = next(
        ((host, one) for host, one in failures if "outcome" in one), failures[0] if failures else ("", {})
    )
    code = FAILED.get(str(first.get("outcome")), NOT_ROLLED_BACK if changed else REFUSED)
    others = [name for name, one in hosts.items() if name != host and one.get("outcome") in SERVED]
    message = f"{host}: {_line(first)}" if host else said
    if others and code in (REFUSED, ROLLED_BACK):
        return Outcome(
            NOT_ROLLED_BACK, f"{message}; already changed, and not taken back: {', '.join(others)}", changed, hosts
        )
    return Outcome(code, message, changed, hosts)


def _of_hosts(events: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for event in events:
        kind, data = str(event.get("event")), event.get("event_data") or {}
        if kind in ("runner_on_ok", "runner_on_failed", "runner_on_unreachable"):
            yield kind, str(data.get("host")), data


def _results(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the results of a loop, or the one of a task without one."""
    inner = [one for one in result.get("results") or [] if isinstance(one, Mapping)]
    return inner if inner and "changes" not in result else [result]


def _line(result: Mapping[str, Any]) -> str:
    return " ".join(str(result.get("msg") or "it failed").split())
