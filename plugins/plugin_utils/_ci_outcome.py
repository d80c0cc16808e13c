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
# Modules of ours that touch nothing that serves: where one of them was cut off, nothing was.
HARMLESS = (
    "health",
    "system_description",
    "run_record",
    "run_summary",
    "change_lock",
    "diagnose",
    "release",
    "pg_backup",
)


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
    changed, open_ended = False, set()
    for kind, host, data in _of_hosts(events):
        task = (host, str(data.get("task_uuid")))
        if kind == "runner_on_start":
            open_ended |= {task} if _may_change(data) else set()
            continue
        if kind != "runner_on_unreachable" and not _is_crash(data):
            open_ended.discard(task)  # one that lost its host, or broke, may have done anything
        for result in _results(data.get("res") or {}):
            if kind == "runner_on_unreachable":
                lost.append(f"{host}: {_line(result)}")
                hosts.setdefault(host, {})["outcome"] = WORDS[NOT_REACHED]
            elif kind == "runner_on_failed" and not data.get("ignore_errors"):
                failures.append((host, result))
            changed = changed or bool(result.get("changes"))
            if "outcome" in result:
                keys = ("outcome", "release", "seconds", "outage_seconds")
                hosts[host] = _with(hosts.get(host, {}), {key: result[key] for key in keys if key in result})
    changed = (changed or bool(open_ended)) and not check_mode
    if rc == 0:
        return Outcome(DONE, "", changed, hosts)
    if open_ended and not check_mode and not failures:
        said = f"it was cut off, and nobody knows how far it came: {lost[0] if lost else said}"
        return Outcome(NOT_ROLLED_BACK, said, changed, hosts)
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
        if kind in (
            "runner_on_start",
            "runner_on_ok",
            "runner_on_failed",
            "runner_on_unreachable",
            "runner_on_skipped",
        ):
            yield kind, str(data.get("host")), data


def _with(before: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a host with what one more task told; of the steps of both, how long each took."""
    old, new = before.get("seconds"), told.get("seconds")
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {**before, **told, "seconds": {name: _sum(old.get(name), new.get(name)) for name in {**old, **new}}}
    return {**before, **told}


def _sum(old: Any, new: Any) -> Any:
    """Return how long a step of both took: it was begun in the one, and looked at once more in the other."""
    return (
        round(old + new, 3)
        if isinstance(old, (int, float)) and isinstance(new, (int, float))
        else old
        if new is None
        else new
    )


def _may_change(data: Mapping[str, Any]) -> bool:
    """Return whether a task may touch what serves."""
    collection, _dot, module = str(data.get("task_action") or "").rpartition(".")
    return collection == "runbook.ops" and not module.endswith("_info") and module not in HARMLESS


def _is_crash(data: Mapping[str, Any]) -> bool:
    result = data.get("res") or {}
    return "outcome" not in result and ("module_stderr" in result or "exception" in result)


def _results(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the results of a loop, or the one of a task without one."""
    inner = [one for one in result.get("results") or [] if isinstance(one, Mapping)]
    return inner if inner and "changes" not in result else [result]


def _line(result: Mapping[str, Any]) -> str:
    return " ".join(str(result.get("msg") or "it failed").split())
