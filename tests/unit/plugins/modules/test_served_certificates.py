# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that is told to load a certificate, and is asked for it by a real client."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._certbot_described import served
from ansible_collections.runbook.ops.plugins.module_utils._certbot_reload import Nginx
from ansible_collections.runbook.ops.plugins.module_utils._command import CommandError
from ansible_collections.runbook.ops.plugins.modules import served_certificates

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates under test")

NAMES = ("shop.example", "*.shop.example")
DEFAULTS: dict[str, Any] = {key: option.get("default") for key, option in served_certificates.ARGUMENTS.items()}


class Server:
    """Serves what it has loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.calls: list[tuple[str, ...]] = []
        self.bad: dict[str, str] = {}
        self.is_stuck = False
        self.issue()
        self.load()
        threading.Thread(target=self._answer, daemon=True).start()

    def issue(self) -> None:
        """Write another certificate, as a renewal does."""
        command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        files = ["-keyout", str(self.folder / "key.pem"), "-out", str(self.folder / "cert.pem"), "-days", "90"]
        names = ",".join(f"DNS:{name}" for name in NAMES)
        named = ["-subj", "/CN=shop.example", "-addext", f"subjectAltName={names}"]
        subprocess.run([*command, *files, *named], check=True, capture_output=True, timeout=30)

    def load(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")
        self.context = context

    def program(self, name: str) -> Any:
        def call(*arguments: str) -> str:
            self.calls.append((name, *arguments))
            if name in self.bad:
                raise CommandError(self.bad[name])
            if name == "reload" and not self.is_stuck:
                self.load()
            return ""

        return call

    def _answer(self) -> None:
        while True:
            try:
                plain, _address = self.listener.accept()
                with plain:
                    plain.settimeout(5)
                    self.context.wrap_socket(plain, server_side=True).close()
            except ssl.SSLError:  # the client does not trust us, and goes
                continue
            except OSError:
                return


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    with made.listener:
        yield made
        made.listener.shutdown(socket.SHUT_RDWR)


def run(server: Server, *, check_mode: bool = False, expected: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    certificate = {
        "name": "shop",
        "path": str(server.folder / "cert.pem"),
        "domains": list(NAMES),
        "served_at": [f"shop.example:{server.port}"],
        "address": "127.0.0.1",
        "test_command": ["test", "-all"],
        "reload_command": ["reload"],
        **more,
    }
    given = {**DEFAULTS, "certificates": [certificate], "verify": False, "proof_seconds": 1, "expected": list(expected)}
    nginx = Nginx(server.program, str(server.folder / "nginx.conf"), 0)
    return served_certificates.run(given, nginx=nginx, check_mode=check_mode)


def test_what_is_served_already_is_left_alone(server: Server) -> None:
    result = run(server)
    assert (result["changed"], result["failures"], server.calls) == (False, [], [])
    (check,) = result["checks"]
    assert (check["id"], check["status"], check["value"]) == ("certificate_served:shop", "ok", 2)


def test_a_renewed_one_is_tested_loaded_and_proven_and_the_second_run_finds_nothing(server: Server) -> None:
    server.issue()
    predicted = run(server, check_mode=True)
    assert (predicted["changed"], predicted["failures"], server.calls) == (True, [], [])

    result = run(server)

    assert server.calls == [("test", "-all"), ("reload",)]
    assert result["diff"] == predicted["diff"]
    assert (result["checks"][0]["status"], result["failures"]) == ("ok", [])
    assert not run(server)["changed"]


def test_a_renewal_that_is_only_predicted_lets_a_reload_be_predicted(server: Server) -> None:
    assert run(server, check_mode=True, expected=("shop",))["changed"]
    assert not run(server, expected=("shop",))["changed"]


def test_a_test_that_fails_keeps_the_server_as_it_is(server: Server) -> None:
    server.issue()
    server.bad["test"] = "line 3: nonsense"
    result = run(server)
    assert server.calls == [("test", "-all")]
    assert not result["changed"]
    assert "line 3: nonsense" in result["failures"][0]
    assert "it serves what it served" in result["failures"][0]


def test_a_server_that_says_yes_and_serves_the_old_one_is_found_out(server: Server) -> None:
    server.issue()
    server.is_stuck = True
    result = run(server)
    assert result["changed"]
    assert result["checks"][0]["status"] == "critical"
    assert "another certificate is served" in result["failures"][0]


def test_a_test_without_a_reload_is_refused(server: Server) -> None:
    server.issue()
    result = run(server, reload_command=[])
    assert "test_command and no reload_command" in result["failures"][0]


def test_nobody_who_listens_is_named_and_no_reason_to_reload(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    result = run(server, served_at=[f"shop.example:{port}"])
    assert (result["changed"], result["checks"][0]["status"]) == (False, "critical")
    assert "Connection refused" in result["failures"][0]


def test_names_that_it_is_not_valid_for_are_named(server: Server) -> None:
    result = run(server, domains=["shop.example", "a.shop.example", "other.example"])
    assert "not valid for other.example" in result["failures"][0]


def test_a_file_that_cannot_be_read_is_named(server: Server) -> None:
    assert "cannot be read: No such file" in run(server, path="/nowhere/x.pem")["failures"][0]


def test_one_that_nobody_says_where_it_is_served_is_unknown(server: Server) -> None:
    assert run(server, served_at=[])["checks"][0]["status"] == "unknown"


def described(**more: Any) -> dict[str, Any]:
    return {"name": "a", "domains": ["a"], "served_at": ["a:443"], "renewed_by": "certbot", **more}


def test_a_host_serves_what_is_described_and_what_certbot_has_beside_it() -> None:
    lineages = [{"name": "a", "domains": ["a", "www.a"]}, {"name": "b", "domains": ["b"]}]
    found = served([described(), described(name="gone")], lineages, [], "/le")
    assert [(one["name"], one["path"], one["domains"]) for one in found] == [
        ("a", "/le/live/a/fullchain.pem", ["a"]),
        ("b", "/le/live/b/fullchain.pem", ["b"]),
    ]
    assert [one["name"] for one in served([described()], lineages, ["b"], "/le")] == ["b"]


def test_one_that_certbot_does_not_renew_needs_a_path() -> None:
    other = described(renewed_by="other")
    with pytest.raises(ValueError, match="say its path"):
        served([other], [], [], "/le")
    assert served([{**other, "path": "/x.pem"}], [], [], "/le")[0]["path"] == "/x.pem"


def test_a_name_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no certificate 'c' on this host \(there is a\)"):
        served([described()], [], ["c"], "/le")
