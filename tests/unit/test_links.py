# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a page of the repository says that something stands, it does: a file, and a heading of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
PAGES = [
    str(page.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "roles/*/README.md")
    for page in sorted(ROOT.glob(pattern))
]


def anchors(text: str) -> set[str]:
    """Return what GitHub calls the headings of a page: small letters, no marks, a dash for each blank."""
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in HEADING.findall(text))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def broken(page: str) -> list[str]:
    """Return the links of ``page`` that lead nowhere."""
    found = []
    for path, anchor in LINK.findall(CODE.sub("", (ROOT / page).read_text(encoding="utf-8"))):
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists():
            found.append(path)
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")):
            found.append(f"{path}#{anchor}")
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    assert broken(page) == []


def test_a_heading_is_called_as_github_calls_it() -> None:
    assert anchors("# What `a` does: *now*\n## [Two](x.md) words_of it\n") == {"what-a-does-now", "two-words_of-it"}
