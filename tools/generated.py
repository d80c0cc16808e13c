# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of which a part is generated: it stands between two marks, and everything outside of them is written by hand."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
END = "<!-- end: generated -->"


def renewed(page: str, lines: Sequence[str], *, begin: str, heading: str = "") -> str:
    """Return ``page`` with its generated part replaced, or added at its end, under ``heading``.

    :param begin: the first mark
    """
    part = "\n".join([begin, "", *lines, "", END])
    if begin not in page:
        return page.rstrip("\n") + f"\n\n{heading}\n\n" + part + "\n"
    before, _begin, rest = page.partition(begin)
    return before + part + rest.partition(END)[2]


def run(pages: Mapping[Path, Sequence[str]], *, tool: str, begin: str, heading: str = "", about: str = "") -> int:
    """Bring ``pages`` up to date, or with ``--check`` print what differs, and return the exit code: 1 where something does."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0] if about else None)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 where a page is out of date")
    check = parser.parse_args().check
    stale = 0
    for path, lines in pages.items():
        old = path.read_text(encoding="utf-8") if path.exists() else f"# {path.parent.name}\n"
        new = renewed(old, lines, begin=begin, heading=heading)
        if new == old:
            continue
        stale += 1
        name = str(path.relative_to(ROOT))
        if check:
            both = old.splitlines(keepends=True), new.splitlines(keepends=True)
            sys.stdout.writelines(difflib.unified_diff(*both, name, f"{name} (new)"))
        else:
            path.write_text(new, encoding="utf-8")
            print(f"renewed {name}")
    if check and stale:
        print(f"Out of date: run {tool}", file=sys.stderr)
    return int(check and stale > 0)
