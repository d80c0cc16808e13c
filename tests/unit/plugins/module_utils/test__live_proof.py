# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import http.server
import json
import threading
from typing import ClassVar, NamedTuple

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._live_proof import is_version, make_proof, told_version


class Release(NamedTuple):
    id: str = "20261121T200000Z-0123456789ab"
    commit: str | None = "0123456789abcdef0123456789abcdef01234567"
    package_version: str | None = "1.4.2"
    ref: str | None = "v1.4.2"


@pytest.mark.parametrize(
    ("told", "kind", "is_it"),
    [
        ("0123456789abcdef0123456789abcdef01234567", "commit", True),
        ("0123456", "commit", True),
        ("012345", "commit", False),
        ("fedcba9", "commit", False),
        ("1.4.2", "package", True),
        ("1.4.20", "package", False),
        ("v1.4.2", "tag", True),
        ("v1.4", "tag", False),
    ],
)
def test_a_version_is_compared_as_the_description_says(told, kind, is_it):
    assert is_version(told, kind, Release()) is is_it


def test_what_is_not_known_of_a_release_is_not_held_against_it():
    assert is_version("anything", "commit", Release(commit=None))


class Application(http.server.BaseHTTPRequestHandler):
    answers: ClassVar[dict] = {}

    def do_GET(self):
        status, content = self.answers.get(self.path, (404, {}))
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def url():
    Application.answers = {"/": (200, {}), "/version": (200, {"build": {"commit": "0123456"}})}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def version_at(url, path="/version"):
    return {"url": url + path, "json": "build.commit", "is": "commit", "timeout_seconds": 5}


def test_the_answer_must_be_right_and_the_version_the_new_one(url):
    proof = make_proof([{"url": f"{url}/"}], version_at(url), Release())
    assert proof() is None
    assert proof.seconds_since(0.0) is not None
    Application.answers["/version"] = (200, {"build": {"commit": "fedcba9"}})
    assert "is answered by 'fedcba9', which is not 2026" in proof()
    Application.answers["/version"] = (502, {})
    assert "does not tell build.commit any more" in proof()
    Application.answers["/"] = (500, {})
    assert "HTTP 500, right is 200" in proof()
    assert proof.renewed().seconds_since(0.0) is None


def test_a_version_that_the_proxy_does_not_show_is_not_asked_for(url):
    assert told_version(version_at(url, "/hidden")) is None
    assert make_proof([{"url": f"{url}/"}], version_at(url, "/hidden"), Release(commit="f" * 40))() is None
