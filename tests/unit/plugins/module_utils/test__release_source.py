# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _release_source as source
from ansible_collections.runbook.ops.plugins.module_utils._release import ReleaseError

A, B, C, D, E = (letter * 40 for letter in "abcde")
ANSWER = f"""warning: something that ssh said
{A}\tHEAD
{A}\trefs/heads/main
{B}\trefs/heads/feature/login
{C}\trefs/heads/both
{D}\trefs/tags/both
{D}\trefs/tags/v1
{E}\trefs/tags/v2
{B}\trefs/tags/v2^{{}}
{B}\trefs/heads/cafe123
{A}\trefs/heads/same
{A}\trefs/tags/same
"""


@pytest.mark.parametrize(
    ("version", "kind", "commit"),
    [
        pytest.param("main", "branch", A, id="a branch"),
        pytest.param("feature/login", "branch", B, id="a branch with a slash"),
        pytest.param("v1", "tag", D, id="a tag"),
        pytest.param("v2", "tag", B, id="the commit behind an annotated tag"),
        pytest.param("refs/tags/both", "tag", D, id="in full, a tag"),
        pytest.param("refs/heads/both", "branch", C, id="in full, a branch"),
        pytest.param("refs/tags/v2", "tag", B, id="in full, an annotated tag"),
        pytest.param("same", "tag", A, id="a tag and a branch of one commit"),
        pytest.param(E, "commit", E, id="a commit"),
        pytest.param("f" * 64, "commit", "f" * 64, id="a commit of a repository with SHA-256"),
        pytest.param("abcdef0", "commit", None, id="the beginning of a commit"),
        pytest.param("cafe123", "branch", B, id="a branch that looks like the beginning of a commit"),
    ],
)
def test_a_version_stands_for_a_commit(version, kind, commit):
    assert source.resolve(version, ANSWER) == source.Wanted(version, kind, commit)


@pytest.mark.parametrize(
    ("version", "words"),
    [
        pytest.param(
            "both", r"both is a tag \(d{12}\) and a branch \(c{12}\): ask for refs/tags/both", id="two of one name"
        ),
        pytest.param("v3", "no branch, tag or commit 'v3': its branches are both, cafe123", id="unknown"),
        pytest.param("abcdef", "no branch", id="too short for a commit"),
    ],
)
def test_a_version_that_stands_for_nothing_or_for_two_things_is_refused(version, words):
    with pytest.raises(ReleaseError, match=words):
        source.resolve(version, ANSWER)


def test_an_empty_repository_says_so():
    with pytest.raises(ReleaseError, match="it has no branches"):
        source.resolve("main", "")


@pytest.mark.parametrize(
    "version",
    ["--upload-pack=x", "-x", "", "a b", "a..b", "x@{1}", "x.lock", "a\nb", "$(id)", "main/", "a~1", "a^", "a:b"],
)
def test_what_git_would_take_for_something_else_is_no_version(version):
    with pytest.raises(ReleaseError, match="cannot be a branch"):
        source.check_version(version)


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.org/a.git",
        "ssh://git@git.example.org/a",
        "git@git.example.org:a/b.git",
        "/srv/a.git",
        "file:///a",
    ],
)
def test_a_usual_repository_is_taken(url):
    assert source.check_repository(url) == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("--upload-pack=id", "is no repository"),
        ("ext::sh -c id", "is no repository"),
        ("ftp://example.org/a", "is no repository"),
        ("", "is no repository"),
        ("https://bot:s3cr3t@git.example.org/a", "holds a password"),
    ],
    ids=["an option", "a program", "another scheme", "nothing", "a password"],
)
def test_an_unsafe_repository_is_refused_and_no_password_is_repeated(url, words):
    with pytest.raises(ReleaseError, match=words) as refusal:
        source.check_repository(url)
    assert "s3cr3t" not in str(refusal.value)


@pytest.mark.parametrize(
    ("output", "told"),
    [
        pytest.param(
            "fatal: detected dubious ownership in repository at '/srv/a.git'\nTo add an exception",
            "git fetch failed: fatal: detected dubious ownership in repository at '/srv/a.git'; the repository belongs",
            id="dubious ownership",
        ),
        pytest.param(
            "Host key verification failed.\nfatal: Could not read from remote repository.", "known_hosts", id="host key"
        ),
        pytest.param("git@x: Permission denied (publickey).\nfatal: Could not read", "deploy key", id="no key"),
        pytest.param("fatal: unable to access 'x': Could not resolve host: x", "network", id="no name server"),
        pytest.param(
            "fatal: unable to access 'https://127.0.0.1:9/x/': Failed to connect to 127.0.0.1 port 9 after 0 ms: Couldn't connect",
            "look at the network",
            id="nobody there",
        ),
        pytest.param(
            "fatal: '/srv/b.git' does not appear to be a git repository", "source.repository", id="no repository"
        ),
        pytest.param("fatal: write error: No space left on device", "make room", id="full disk"),
        pytest.param("", "it said nothing; run it by hand", id="nothing"),
    ],
)
def test_what_git_says_becomes_one_line_that_says_what_to_do(output, told):
    said = source.explain("fetch", output)
    assert told in said and "\n" not in said


SUM = "0" * 64


@pytest.mark.parametrize(
    ("version", "found"),
    [
        (f"https://example.org/a.tgz#sha256={SUM}", ("https://example.org/a.tgz", SUM)),
        (f"/srv/a.tgz#{SUM}", ("/srv/a.tgz", SUM)),
        (f"/srv/a.tgz#sha256:{SUM.upper()}", ("/srv/a.tgz", SUM)),
    ],
)
def test_an_artefact_is_a_place_and_a_sum(version, found):
    assert source.artefact_of(version) == found


@pytest.mark.parametrize("version", ["/srv/a.tgz", "/srv/a.tgz#abc", f"a.tgz#{SUM}", f"ftp://x/a#{SUM}"])
def test_an_artefact_without_a_sum_or_a_place_is_refused(version):
    with pytest.raises(ReleaseError):
        source.artefact_of(version)


SERVICE = {
    "entry_point": "server.js",
    "source": {"subdirectory": "."},
    "deploy": {"kind": "git", "build": [{"run": ["npm", "ci"]}], "mode": "fork"},
}


@pytest.mark.parametrize(
    ("service", "commit", "environment"),
    [
        pytest.param(SERVICE, B, "x", id="another commit"),
        pytest.param(SERVICE, A, "y", id="other variables"),
        pytest.param({**SERVICE, "entry_point": "main.js"}, A, "x", id="another entry point"),
        pytest.param({**SERVICE, "source": {"subdirectory": "api"}}, A, "x", id="another directory"),
        pytest.param({**SERVICE, "deploy": {**SERVICE["deploy"], "build": []}}, A, "x", id="another build"),
        pytest.param({**SERVICE, "deploy": {**SERVICE["deploy"], "mode": "cluster"}}, A, "x", id="another mode"),
        pytest.param({**SERVICE, "replicas": 2}, A, "x", id="another number of instances"),
    ],
)
def test_what_is_made_from_something_else_is_made_again(service, commit, environment):
    known = source.fingerprint(SERVICE, A, "x")
    assert source.fingerprint(SERVICE, A, "x") == known != source.fingerprint(service, commit, environment)


def test_only_a_tag_can_have_moved():
    known = [("v1", A), ("v1", D), ("v2", B), (None, None)]
    assert source.moved_tags(source.Wanted("v1", "tag", D), known) == [A]
    assert source.moved_tags(source.Wanted("v1", "branch", D), known) == []
