# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read an application's variables: a file of KEY=value lines. Private to this collection.

The rules are those that dotenv, Compose's ``env_file`` and systemd's ``EnvironmentFile`` have in common. Where they differ, in what they
replace within a value, a file is refused rather than understood in one of three ways.
"""

from __future__ import annotations

import re
from pathlib import Path

LINE = re.compile(r"(?:export[ \t]+)?(?P<name>[A-Za-z_]\w*)[ \t]*=[ \t]*(?P<value>.*)", re.ASCII)
QUOTED = re.compile(r"(?P<quote>['\"])(?P<inner>.*?)(?<!\\)(?P=quote)[ \t]*(?:#.*)?")
ESCAPE = re.compile(r"\\(.?)")
ESCAPES = {"n": "\n", "r": "\r", '"': '"', "$": "$"}  # what all of them take for the same


def parse_environment(text: str, *, name: str) -> dict[str, str]:
    """Return the variables of ``text``; of several of one name the last counts.

    :param name: of the file, for the message
    :raises ValueError: a line is none; the message names its number and shows no value.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        met = LINE.fullmatch(bare)
        if not met:
            raise ValueError(f"{name}:{number} is no KEY=value: correct the line")
        found[met["name"]] = _value(met["value"], f"{name}:{number} ({met['name']})")
    return found


def _value(raw: str, where: str) -> str:
    if raw[:1] in ("'", '"'):
        met = QUOTED.fullmatch(raw)
        if not met:
            raise ValueError(
                f"{where} has a quote that does not end on its line: write line breaks as \\n in double quotes"
            )
        if met["quote"] == "'":
            return met["inner"]
        strange = [escape[0] for escape in ESCAPE.finditer(met["inner"]) if escape[1] not in ESCAPES]
        if strange:
            raise ValueError(
                f"{where} holds {strange[0]}, which not all programs read alike: put the value into single quotes"
            )
        return ESCAPE.sub(lambda escape: ESCAPES[escape[1]], _literal(met["inner"], where))
    if "#" in raw or raw.startswith("`"):
        raise ValueError(
            f"{where} holds a # or a `, which not all programs read alike: put the value into single quotes"
        )
    return _literal(raw.rstrip(), where)


def _literal(value: str, where: str) -> str:
    """Return ``value``, which has nothing in it that one reader replaces and another leaves."""
    if re.search(r"(?<!\\)\$(?:\{|\w)", value):
        raise ValueError(f"{where} holds a $ that some programs replace: put the value into single quotes")
    return value


def read_environment(path: str) -> dict[str, str]:
    """Return the variables of the file ``path``.

    :raises ValueError: it cannot be read, or a line is none; the message is one line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise ValueError(f"the variables of the application cannot be read from {path}: {reason}") from exc
    return parse_environment(text, name=path)
