# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release is made from: which commit a name stands for, and when two releases are the same. Private to this collection."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.runbook.ops.plugins.module_utils._release import ReleaseError

COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
SHORT = re.compile(r"[0-9a-f]{7,39}\Z")
SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})\Z")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+#@-]{0,200}\Z")  # of a branch or a tag; never an option of a program
ANSWER = re.compile(r"([0-9a-f]{40,64})\t(\S+)")
SCHEMES = ("https", "http", "ssh", "git", "file")
REMEDIES = (
    (r"dubious ownership", "the repository belongs to another account: git config --global --add safe.directory <path>, as the account"),
    (r"Host key verification failed", "add the server to known_hosts of the account, after comparing its key"),
    (r"Permission denied|publickey", "give the account a deploy key, and the server its public half"),
    (r"could not read Username|Authentication failed|403", "set up a credential helper of Git for the account"),
    (r"resolve host|Connection (?:refused|timed out)|unreachable|(?:Failed to|Could not|Couldn.t) connect|timed out", "look at the network and the server"),
    (r"not appear to be a git repository|does not exist|not found", "correct source.repository"),
    (r"No space left|Disk quota", "make room"),
)  # fmt: skip


class Wanted(NamedTuple):
    """What was asked for, and what it stands for now."""

    ref: str
    kind: str  # commit | tag | branch
    commit: str | None  # None: the beginning of a commit, which only the repository itself can complete


def check_repository(url: str) -> str:
    """Return ``url``, which is safe to hand to Git.

    :raises ReleaseError: it is an option, runs a program, or shows a password.
    """
    parts = urlsplit(url) if "://" in url else None
    if not url or url.startswith("-") or "::" in url or (parts and parts.scheme not in SCHEMES):
        raise ReleaseError(f"{url!r} is no repository: use https://…, ssh://…, user@host:path or an absolute path")
    if parts and parts.password:
        raise ReleaseError(
            "the URL of the repository holds a password, which everybody on the host can see while Git runs: "
            "leave it out, and set up a credential helper or a deploy key for the account"
        )
    return url


def check_version(version: str) -> str:
    """Return ``version``, which may name a branch, a tag or a commit.

    :raises ReleaseError: no such name can be.
    """
    if not NAME.match(version) or ".." in version or "@{" in version or version.endswith((".lock", "/", ".")):
        raise ReleaseError(f"{version!r} cannot be a branch, a tag or a commit: look for a typing error")
    return version


def resolve(version: str, answer: str) -> Wanted:
    """Return which commit ``version`` stands for.

    :param answer: what ``git ls-remote`` printed
    :raises ReleaseError: there is no such name, or a tag and a branch have it.
    """
    refs = {met[2]: met[1] for met in ANSWER.finditer(answer)}
    tag, branch = (refs.get(f"refs/{kind}/{version}") for kind in ("tags", "heads"))
    tag = refs.get(f"refs/tags/{version}^{{}}", tag)  # the commit behind a tag that is an object of its own
    if version.startswith("refs/") and version in refs:
        kind = "tag" if version.startswith("refs/tags/") else "branch"
        return Wanted(version, kind, refs.get(f"{version}^{{}}", refs[version]))
    if tag and branch and tag != branch:
        raise ReleaseError(
            f"{version} is a tag ({tag[:12]}) and a branch ({branch[:12]}): ask for refs/tags/{version} or refs/heads/{version}"
        )
    if tag or branch:
        return Wanted(version, "tag" if tag else "branch", tag or branch)
    if COMMIT.match(version):
        return Wanted(version, "commit", version)
    if SHORT.match(version):
        return Wanted(version, "commit", None)
    branches = sorted(name[11:] for name in refs if name.startswith("refs/heads/"))
    known = f"its branches are {', '.join(branches[:8])}" if branches else "it has no branches"
    raise ReleaseError(f"the repository has no branch, tag or commit {version!r}: {known}")


def explain(verb: str, output: str) -> str:
    """Return one line for what Git printed when it failed, with what to do."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    told = [line for line in lines if re.match(r"(?:fatal|error|ssh|ERROR)\b", line)] or lines or ["it said nothing"]
    remedy = next((words for pattern, words in REMEDIES if re.search(pattern, output)), "run it by hand as the account")
    return f"git {verb} failed: {told[0]}; {remedy}"


def artefact_of(version: str) -> tuple[str, str]:
    """Return where an archive is and the SHA-256 that it must have, which stands behind a ``#``.

    :raises ReleaseError: nothing says what must be in it.
    """
    place, _mark, given = version.partition("#")
    met = SHA256.match(given.replace("sha256=", "").strip().lower())
    if not met:
        raise ReleaseError(
            f"nothing says which SHA-256 {place} must have: write it behind the address, {place}#sha256=<64 digits>"
        )
    if not re.match(r"https?://[^\s/]|/", place):
        raise ReleaseError(f"{place!r} is no archive: use https://… or an absolute path on the host")
    return place, met[1]


def fingerprint(
    service: Mapping[str, Any], source: str, environment: str | None, process: Mapping[str, Any] | None = None
) -> str:
    """Return what two releases have in common that need not be built twice.

    :param source: the commit, the SHA-256 or the digest
    :param environment: SHA-256 of the variables
    :param process: how it is run, where that does not come with the source
    """
    deploy, origin = service["deploy"], service.get("source") or {}
    made_of = {
        "kind": deploy["kind"],
        "source": source,
        "subdirectory": origin.get("subdirectory"),
        "build": [step["run"] for step in deploy["build"]],
        "environment": environment,
        "entry_point": service.get("entry_point"),
        "mode": deploy.get("mode"),
        "replicas": service.get("replicas"),
        "process": process,
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def moved_tags(wanted: Wanted, known: Sequence[tuple[str | None, str | None]]) -> list[str]:
    """Return the commits that the tag ``wanted`` stood for in earlier releases, which is no good sign.

    :param known: what was asked for and the commit, of each release
    """
    if wanted.kind != "tag":
        return []
    return sorted({commit for ref, commit in known if ref == wanted.ref and commit and commit != wanted.commit})
