# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tree of files is, so that two can be compared to the last bit of content, mode and owner. Private to this collection."""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

MOST_DIFFERENCES = 20
COUNTED = {"files": "files", "directories": "directories", "links": "symbolic links", "bytes": "bytes"}


class TreeError(ValueError):
    """Paths that cannot be meant; the message says what to do."""


class Entry(NamedTuple):
    """One thing in a tree."""

    path: str  # below the root; empty for the root itself
    kind: str  # f, d, l or p: file, directory, symbolic link, pipe
    mode: int
    owner: str  # account:group, by name where they have one
    size: int
    digest: str  # SHA-256 of a file, target of a link

    @property
    def line(self) -> bytes:
        text = f"{self.path}\0{self.kind}{self.mode:o}\0{self.owner}\0{self.digest}\n"
        return text.encode("utf-8", "surrogateescape")


def describe(entries: Iterable[Entry]) -> dict[str, Any]:
    """Return what a manifest says of a tree."""
    known = sorted(entries, key=lambda entry: entry.path)
    digest = hashlib.sha256()
    for entry in known:
        digest.update(entry.line)
    return {
        "files": sum(entry.kind == "f" for entry in known),
        "directories": sum(entry.kind == "d" for entry in known),
        "links": sum(entry.kind == "l" for entry in known),
        "bytes": sum(entry.size for entry in known if entry.kind == "f"),
        "sha256": digest.hexdigest(),
    }


def compare(expected: Mapping[str, Mapping[str, Any]], found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the differences between two descriptions of the same roots, in words."""
    differences = []
    for root, wanted in expected.items():
        there = found.get(root)
        if there is None:
            differences.append(f"{root} is missing")
            continue
        counted = [
            f"{there[key]} {words} instead of {wanted[key]}"
            for key, words in COUNTED.items()
            if there[key] != wanted[key]
        ]
        if counted:
            differences.append(f"{root}: {', '.join(counted)}")
        elif there["sha256"] != wanted["sha256"]:
            differences.append(f"{root}: as many files and bytes, but a name, mode, owner or content differs")
    return differences[:MOST_DIFFERENCES]


def clean_roots(paths: Sequence[str]) -> list[str]:
    """Return ``paths`` as they are written in manifests.

    :raises TreeError: one is not absolute, is ``/``, or lies within another.
    """
    roots = list(dict.fromkeys(str(PurePosixPath(path)) for path in paths))
    if not roots:
        raise TreeError("paths is empty: name at least one file or directory")
    for root in roots:
        if not root.startswith("/") or ".." in PurePosixPath(root).parts or root.strip("/") == "":
            raise TreeError(f"{root} cannot be backed up as a path: write an absolute path below /, without ..")
        outer = [other for other in roots if other != root and is_below(root, other)]
        if outer:
            raise TreeError(f"{root} lies within {outer[0]}: leave one of them out")
    return roots


def is_below(path: str, root: str) -> bool:
    """Return whether ``path`` is ``root``, or lies in it."""
    return path == root or path.startswith(f"{root}/")


def matcher(patterns: Sequence[str]) -> Callable[[str, str], bool]:
    """Return what says whether something is left out, by its root and its path below it.

    A pattern without a slash is held against each name, one that begins with a slash against the whole path, any other
    against the path below the root.
    """
    names = _together(pattern for pattern in patterns if "/" not in pattern)
    whole = _together(pattern.rstrip("/") for pattern in patterns if pattern.startswith("/"))
    below = _together(pattern.rstrip("/") for pattern in patterns if "/" in pattern and not pattern.startswith("/"))

    def is_excluded(root: str, path: str) -> bool:
        name = path.rpartition("/")[2]
        return bool(names(name) or below(path) or whole(f"{root}/{path}"))

    return is_excluded


def _together(patterns: Iterable[str]) -> Callable[[str], object]:
    joined = "|".join(fnmatch.translate(pattern) for pattern in patterns if pattern)
    return re.compile(joined).match if joined else lambda _text: None
