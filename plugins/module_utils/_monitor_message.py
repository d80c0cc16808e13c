# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an alert says: as a mail, as JSON, as Slack's JSON. Private to this collection.

A message with a ``text`` is no alert but the summary of a report: it brings its own ``subject``, ``text`` and ``status``.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

Record = dict[str, Any]
SHOWN = 40  # events and followers that one message spells out
WORDS = {
    "alert": "",
    "worse": "worse: ",
    "reminder": "still ",
    "clear": "all clear: ",
    "gone": "no longer looked at: ",
    "test": "a ",
}
OVER = {"clear": "ALL CLEAR", "gone": "NO LONGER LOOKED AT", "test": "THIS IS A TEST"}
COLORS = {"critical": "#c62828", "warning": "#f9a825", "unknown": "#757575", "ok": "#2e7d32"}


def make_message(events: Sequence[Record], *, system: str, host: str, number: int, now: float) -> Record:
    """Return a message about ``events``. Its id says whether a receiver has it already."""
    said = "|".join(f"{event['kind']} {event['id']} {event['status']} {event['since']}" for event in events)
    digest = hashlib.sha256(f"{system} {host} {number} {said}".encode()).hexdigest()[:16]
    return {"id": f"{host}-{number}-{digest}", "system": system, "host": host, "at": now, "events": list(events)}


def worst(message: Record) -> str:
    """Return the status that the message is about: that of its first event, ok where it only says that all is over."""
    if "text" in message:
        return str(message["status"])
    first = message["events"][0]
    return "ok" if first["kind"] in OVER else str(first["status"])


def subject(message: Record) -> str:
    """Return one line: where, how bad, what."""
    if "text" in message:
        return one_line(message["subject"])[:200]
    events = message["events"]
    first = events[0]
    word = WORDS[first["kind"]] + ("" if first["kind"] in OVER else f"{first['status']}: ")
    more = f" and {len(events) - 1} more" if len(events) > 1 else ""
    return one_line(f"[{message['system']}] {message['host']}: {word}{first['name']}{more}")[:200]


def text(message: Record) -> str:
    """Return the message for people, a paragraph for each event."""
    if "text" in message:
        return str(message["text"])
    parts = ["\n".join(_lines(event)) for event in message["events"][:SHOWN]]
    hidden = len(message["events"]) - SHOWN
    if hidden > 0:
        parts.append(f"And {hidden} more.")
    if message.get("dropped"):
        parts.append(f"{message['dropped']} earlier messages could not be sent and were dropped: too many had waited.")
    parts.append(
        f"Seen on {message['host']} at {moment(message['at'])}. Look at all of it:\n"
        f"  ansible-playbook runbook.ops.health_check --limit {message['host']}"
    )
    return "\n\n".join(parts) + "\n"


def _lines(event: Record) -> list[str]:
    if event["kind"] in OVER:
        was = [f"  was {event['was']} since {moment(event['since'])}"] if event["was"] != "ok" else []
        return [f"{OVER[event['kind']]}  {one_line(event['name'])}", *was]
    still = {"reminder": "STILL ", "worse": "NOW "}.get(event["kind"], "")
    lines = [f"{still}{event['status'].upper()}  {one_line(event['name'])}: {one_line(event['detail'])}"]
    if event["value"] is not None and event["limit"] is not None:
        unit = f" {event['unit']}" if event["unit"] else ""
        lines.append(f"  {event['value']}{unit}, the limit is {event['limit']}{unit}")
    if event["kind"] != "alert":
        lines.append(f"  since {moment(event['since'])}")
    if event["follows"]:
        named = ", ".join(one_line(name) for name in event["follows"][:SHOWN])
        hidden = len(event["follows"]) - SHOWN
        lines.append(f"  from it follow: {named}" + (f" and {hidden} more" if hidden > 0 else ""))
    if event["remedy"]:
        lines.append(f"  what to do: {one_line(event['remedy'])}")
    return lines


def as_json(message: Record) -> Record:
    """Return what a webhook gets."""
    if "text" in message:
        kept = {key: message[key] for key in ("id", "system", "host", "status", "subject", "text")}
        return {**kept, "at": moment(message["at"])}
    events = [{**event, "since": moment(event["since"])} for event in message["events"][: 5 * SHOWN]]
    return {
        "id": message["id"],
        "system": message["system"],
        "host": message["host"],
        "at": moment(message["at"]),
        "status": worst(message),
        "subject": subject(message),
        "events": events,
        "events_left_out": len(message["events"]) - len(events),
        "messages_dropped": message.get("dropped", 0),
    }


def as_slack(message: Record) -> Record:
    """Return what Slack, Mattermost and their like take."""
    return {
        "text": _escape(subject(message)),
        "attachments": [{"color": COLORS[worst(message)], "text": _escape(text(message)), "footer": message["id"]}],
    }


def moment(seconds: float) -> str:
    """Return a time as ISO 8601 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def one_line(value: Any) -> str:
    """Return ``value`` without line breaks and control characters: a header or a line is one line."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in str(value)).split())


def _escape(value: str) -> str:
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def metrics(checks: Sequence[Mapping[str, Any]], own: Mapping[str, float]) -> str:
    """Return the text that node_exporter's textfile collector reads.

    :param own: what the monitor tells about itself, by the name of the metric
    """
    status = {"ok": 0, "unknown": 1, "warning": 2, "critical": 3}
    lines = [
        "# HELP runbook_check_status Status of a check: 0 ok, 1 unknown, 2 warning, 3 critical.",
        "# TYPE runbook_check_status gauge",
        *(
            f"runbook_check_status{_labels(check, 'id', 'name', 'section')} {status[check['status']]}"
            for check in checks
        ),
        "# HELP runbook_check_consequence Whether a bad check follows from another one.",
        "# TYPE runbook_check_consequence gauge",
        *(f"runbook_check_consequence{_labels(check, 'id', 'because')} 1" for check in checks if check.get("because")),
        "# HELP runbook_check_value What a check measured, in its unit.",
        "# TYPE runbook_check_value gauge",
        *(
            f"runbook_check_value{_labels(check, 'id', 'unit')} {float(check['value'])!r}"
            for check in checks
            if isinstance(check["value"], (int, float)) and not isinstance(check["value"], bool)
        ),
    ]
    for name, value in own.items():
        lines += [f"# TYPE {name} gauge", f"{name} {float(value)!r}"]
    return "\n".join(lines) + "\n"


def _labels(check: Mapping[str, Any], *names: str) -> str:
    pairs = []
    for name in names:
        value = str(check[name] if check[name] is not None else "")
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        pairs.append(f'{name}="{escaped}"')
    return "{" + ",".join(pairs) + "}"
