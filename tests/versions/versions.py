# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of a small application, good and bad, as a repository: ``python3 versions.py | git -C versions.git fast-import --force``.

Each version is a tag with the version's name, the one after the other on the branch ``main``. The same versions are the same commits always.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

APPLICATION = Path(__file__).resolve().with_name("application.js")
MARK = "/* FLAW */"
BEGAN = 1_767_225_600  # 2026-01-01, the date of the first version; each next one is a minute later


class Version(NamedTuple):
    """One version: what is other than in a good one, and where a deploy has to refuse it."""

    kind: str
    refused: str | None  # build, migration, gate or watch; None: it is good
    flaw: str = ""  # a line of JavaScript
    files: Mapping[str, str | None] = {}  # contents by name, None for a file that is left out


def package(**more: object) -> str:
    return json.dumps({"name": "shop", "version": "0.0.0", "private": True, **more})


# A lock file that leads to where nobody answers.
FAR = {
    "lockfileVersion": 3,
    "packages": {
        "": {"dependencies": {"far": "1.0.0"}},
        "node_modules/far": {"version": "1.0.0", "resolved": "http://127.0.0.1:9/far.tgz", "integrity": "sha512-AAAA"},
    },
}


def users(what: str) -> str:
    """Return a flaw that only requests through the proxy bring out, and only once the switch was proven."""
    return f"let n = 0; it.failing = (path, request) => request.headers['x-real-ip'] && ++n > 20 && ({what});"


def leak(size: int) -> str:
    """Return an expression that takes so many bytes, for good, each time."""
    return f"(it.kept = it.kept || []).push(Buffer.alloc({size}, 1))"


GOOD = Version("good", None)
BAD = (
    Version("syntax-error", "gate", "function ("),
    Version("missing-module", "gate", "require('not-there');"),
    Version("exits-at-once", "gate", "process.exit(1);"),
    Version("exits-well-at-once", "gate", "process.exit(0);"),
    Version("exits-after-a-while", "gate", "setTimeout(() => process.exit(1), 1500);"),
    Version("throws-after-a-while", "gate", "setTimeout(() => { throw new Error('broken on purpose'); }, 300);"),
    Version("never-listens", "gate", "it.listenAfter = 2 ** 31 - 1;"),
    Version("wrong-port", "gate", "process.env.PORT = String(Number(process.env.PORT) + 1000);"),
    Version("never-healthy", "gate", "it.health = { status: 'starting' };"),
    Version("health-fails", "gate", "it.failing = (path) => path === '/api/v1/health';"),
    Version("wrong-commit", "gate", "it.commit = '0'.repeat(40);"),
    Version("hangs", "gate", "it.delay = 2 ** 31 - 1;"),
    Version("smoke-fails", "gate", "it.failing = (path) => path === '/api/v1/slow';"),
    Version("missing-variable", "gate", "if (!process.env.NOT_GIVEN) throw new Error('NOT_GIVEN is not set');"),
    Version("leaks-memory", "gate", f"setInterval(() => {leak(1 << 20)}, 20);"),
    Version("no-entry-point", "gate", files={"server.js": None}),
    Version("build-fails", "build", files={"package.json": package(scripts={"build": "exit 3"})}),
    Version("dependency-without-a-lock", "build", files={"package.json": package(dependencies={"not-there": "1.0.0"})}),
    Version(
        "dependency-cannot-be-fetched",
        "build",
        files={
            "package.json": package(dependencies={"far": "1.0.0"}),
            "package-lock.json": json.dumps(FAR),
            ".npmrc": "fetch-retries=0\n",
        },
    ),
    # Where the description names migrations, of a database of SQL.
    Version(
        "migration-fails-half-way",
        "migration",
        files={"migrations/001_half.sql": "CREATE TABLE half (id integer);\nSELECT 1 / 0;\n"},
    ),
    Version("fails-half-of-the-time", "watch", users("n % 2")),
    Version("fails-a-tenth-of-the-time", "watch", users("n % 10 === 0")),
    Version("leaks-when-used", "watch", users(f"{leak(8 << 20)} < 0")),
    Version("slower-for-users", "watch", users("(it.delay = 700) < 0")),
    Version("dies-when-used", "watch", users("process.exit(1)")),
)
# What looks odd and is good: a deploy has to take it.
ODD = (
    Version("slow-start", None, "it.listenAfter = 4000;"),
    Version("ignores-its-end", None, "it.closing = () => {};"),
    Version("talks-much", None, "setInterval(() => console.log('x'.repeat(2000)), 10);"),
)
KINDS = {version.kind: version for version in (GOOD, *BAD, *ODD)}


def contents(version: Version, number: str) -> dict[str, str]:
    """Return the files of a version."""
    code = APPLICATION.read_text(encoding="utf-8")
    if code.count(MARK) != 1:
        raise ValueError(f"{APPLICATION} has to have {MARK} once")
    files: dict[str, str | None] = {"server.js": code.replace(MARK, version.flaw), "package.json": package()}
    files.update(version.files)
    described = json.loads(str(files["package.json"]))
    files["package.json"] = json.dumps({**described, "version": number})
    return {name: text for name, text in files.items() if text is not None}


def stream(versions: Iterable[tuple[str, Version]], directory: str = ".") -> str:
    """Return what ``git fast-import`` reads: pairs of a number, which becomes the tag, and a version."""
    lines = ["reset refs/heads/main"]
    for place, (number, version) in enumerate(versions, 1):
        message = f"{number}: {version.kind}"
        lines += [
            "commit refs/heads/main",
            f"mark :{place}",
            f"committer SRE <sre@example.com> {BEGAN + 60 * place} +0000",
            data(message),
        ]
        lines += [f"from :{place - 1}"] if place > 1 else []
        lines += ["deleteall"]
        for name, text in sorted(contents(version, number).items()):
            path = name if directory == "." else f"{directory}/{name}"
            lines += [f"M 100644 inline {path}", data(text)]
        lines += [f"reset refs/tags/{number}", f"from :{place}", ""]
    return "\n".join([*lines, "done", ""])


def data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}"


def numbered(kinds: Sequence[str], start: int = 0) -> list[tuple[str, Version]]:
    """Return versions with their numbers: 1.0.0, 1.1.0, and so on."""
    return [(f"1.{number}.0", KINDS[kind]) for number, kind in enumerate(kinds, start)]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "kinds", nargs="*", help=f"of each version, in order (default: a good one and all bad ones): {', '.join(KINDS)}"
    )
    parser.add_argument("--directory", default=".", help="of the application in the repository")
    options = parser.parse_args(argv)
    if unknown := [kind for kind in options.kinds if kind not in KINDS]:
        parser.error(f"no such kind: {', '.join(unknown)}")
    kinds = options.kinds or [GOOD.kind, *(version.kind for version in BAD)]
    sys.stdout.write(stream(numbered(kinds), options.directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
