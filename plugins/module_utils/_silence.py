# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Silences of Alertmanager: which one says already what is wished, and whom it silences. Private to this collection.

The interface: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
LONGEST_SECONDS = 30 * 86400  # what has to be silent for longer is a rule that has to go


class SilenceError(Exception):
    """Alertmanager does not do as asked, or what is asked is wrong; the message is one line."""


class Matcher(NamedTuple):
    """What a label of an alert must be, or must not be."""

    name: str
    value: str
    regex: bool = False
    equal: bool = True

    def __str__(self) -> str:
        sign = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}[
            self.equal, self.regex
        ]
        return f'{self.name}{sign}"{self.value}"'

    def fits(self, labels: Mapping[str, str]) -> bool:
        found = labels.get(self.name, "")
        same = bool(re.fullmatch(self.value, found)) if self.regex else found == self.value
        return same is self.equal


def read_matchers(raw: Sequence[Mapping[str, Any]]) -> list[Matcher]:
    """Return the matchers, in an order of their own.

    :raises SilenceError: one is wrong, or all of them together would silence everything.
    """
    found = []
    for item in raw:
        matcher = Matcher(item["name"], item["value"], item["regex"], item["equal"])
        if not LABEL.match(matcher.name):
            raise SilenceError(f"matchers: {matcher.name!r} is no name of a label")
        try:
            re.compile(matcher.value if matcher.regex else "")
        except re.error as exc:
            raise SilenceError(f"matchers: {matcher.value!r} is no regular expression: {exc}") from exc
        found.append(matcher)
    if all(matcher.fits({}) for matcher in found):
        raise SilenceError("matchers would silence every alert: name at least one label that must have a value")
    return sorted(set(found))


def same(silences: Iterable[Mapping[str, Any]], matchers: list[Matcher]) -> list[dict[str, Any]]:
    """Return the silences with exactly these matchers that last or will begin, the one that ends last first."""
    found = [
        dict(silence)
        for silence in silences
        if silence["status"]["state"] in ("active", "pending") and _matchers_of(silence) == matchers
    ]
    return sorted(found, key=lambda silence: parse_time(silence["endsAt"]), reverse=True)


def is_enough(silence: Mapping[str, Any], *, now: datetime, seconds: float) -> bool:
    """Return whether a silence lasts about as long as asked for: a tenth less will do, or the second run would prolong it."""
    left = (parse_time(silence["endsAt"]) - now).total_seconds()
    return parse_time(silence["startsAt"]) <= now and left >= seconds - max(60.0, seconds / 10)


def request(
    matchers: list[Matcher], old: Mapping[str, Any] | None, *, now: datetime, seconds: float, comment: str, by: str
) -> dict[str, Any]:
    """Return the body that makes a silence, or prolongs ``old``."""
    starts = parse_time(old["startsAt"]) if old else now
    return {
        **({"id": old["id"]} if old else {}),
        "matchers": [
            {"name": item.name, "value": item.value, "isRegex": item.regex, "isEqual": item.equal} for item in matchers
        ],
        "startsAt": _text(min(starts, now)),
        "endsAt": _text(now + timedelta(seconds=seconds)),
        "comment": comment,
        "createdBy": by,
    }


def covered(alerts: Iterable[Mapping[str, Any]], matchers: list[Matcher]) -> list[dict[str, str]]:
    """Return the labels of the firing alerts that these matchers silence."""
    return [dict(alert["labels"]) for alert in alerts if all(matcher.fits(alert["labels"]) for matcher in matchers)]


def parse_time(text: str) -> datetime:
    """Return a time as Alertmanager writes it, in UTC, to the second."""
    return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)


def _matchers_of(silence: Mapping[str, Any]) -> list[Matcher]:
    return sorted(
        Matcher(item["name"], item["value"], item["isRegex"], item.get("isEqual", True)) for item in silence["matchers"]
    )


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%S}.000Z"
