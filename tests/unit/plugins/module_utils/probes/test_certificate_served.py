# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate as a real server serves it, against the one on disk."""

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
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import read_options
from ansible_collections.runbook.ops.plugins.module_utils.probes import certificate

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates under test")
NAME = "shop.example"


def issue(directory: Path, *, days: int = 90) -> None:
    """Write a certificate and its key, as a renewal does."""
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    files = ["-keyout", str(directory / "key.pem"), "-out", str(directory / "cert.pem"), "-days", str(days)]
    named = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
    subprocess.run([*command, *files, *named], check=True, capture_output=True, timeout=30)


def serve(directory: Path) -> socket.socket:
    """Serve what is on disk now, for as long as the socket is open."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        while True:
            try:
                plain, _address = listener.accept()
                with plain:
                    plain.settimeout(5)
                    context.wrap_socket(plain, server_side=True).close()
            except ssl.SSLError:  # the client does not trust us, and goes
                continue
            except OSError:
                return

    threading.Thread(target=answer, daemon=True).start()
    return listener


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    issue(tmp_path)
    shutil.copy(tmp_path / "cert.pem", tmp_path / "trusted.pem")
    with serve(tmp_path) as listener:
        yield tmp_path, listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def look(place: tuple[Path, int], **more: Any) -> dict[str, Any]:
    """Ask locally for the name that the world knows."""
    directory, port = place
    told = {"served_at": f"{NAME}:{port}", "address": "127.0.0.1", "path": str(directory / "cert.pem")}
    raw = {"probe": "x", "section": "S", "ca_path": str(directory / "trusted.pem"), **told, **more}
    options = read_options(raw, certificate.OPTIONS, where="test")
    (check,) = certificate.judge(certificate.measure(options), options)
    return check


def test_what_is_served_and_on_disk_is_in_order(place: tuple[Path, int]) -> None:
    check = look(place)
    assert (check["status"], check["unit"]) == ("ok", "days")
    assert 89 <= check["value"] <= 90


def test_a_renewal_that_the_server_did_not_load_is_found(place: tuple[Path, int]) -> None:
    issue(place[0], days=365)
    check = look(place)
    assert check["status"] == "warning"
    assert check["value"] <= 90, "the days are those of the one that is served"
    assert "cert.pem holds another one, which is not served" in check["detail"]
    assert "reload" in check["remedy"]


def test_a_renewal_that_was_not_loaded_before_the_old_one_ends_is_critical(tmp_path: Path) -> None:
    issue(tmp_path, days=5)
    shutil.copy(tmp_path / "cert.pem", tmp_path / "trusted.pem")
    with serve(tmp_path) as listener:
        issue(tmp_path, days=90)
        check = look((tmp_path, listener.getsockname()[1]))
        listener.shutdown(socket.SHUT_RDWR)
    assert check["status"] == "critical"
    assert "which is not served" in check["detail"]


def test_a_chain_that_nobody_trusts_and_a_name_that_is_missing_are_critical(place: tuple[Path, int]) -> None:
    assert "not trusted: self" in look(place, ca_path=None)["detail"]
    other = look(place, domains=[NAME, "www.shop.example"])
    assert (other["status"], other["detail"]) == ("critical", "not valid for www.shop.example")


def test_a_place_where_nobody_serves_is_critical(place: tuple[Path, int]) -> None:
    check = look(place, served_at=f"{NAME}:1")
    assert (check["status"], check["value"]) == ("critical", None)
