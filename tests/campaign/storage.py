# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Object storage for campaigns: moto, a stand-in for S3, and in front of it a proxy that fails when it is told to."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

PROXY = Path(__file__).resolve().parents[1] / "stubs" / "s3" / "faulty.py"
CACHE = Path.home() / ".cache" / "runbook-ops"
LOGIN = "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"  # moto believes it
PACKAGES = ("moto[s3,iam]==5.1.22", "flask==3.1.3", "flask-cors==6.0.5")


def moto_server() -> Path:
    """Return the program; it is installed into a place of its own where it is not there yet."""
    place = CACHE / "moto-5.1.22"
    program = place / "bin" / "moto_server"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "moto.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists() or not (place / "complete").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True, timeout=120)
            pip = [str(place / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
            subprocess.run(pip, check=True, timeout=600)
            (place / "complete").touch()
    return program


class Storage:
    """Both servers, on ports of this machine that nobody else uses."""

    def __init__(self) -> None:
        self.moto_port, self.port = _free_port(), _free_port()
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Storage:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        moto = [str(moto_server()), "--host", "127.0.0.1", "--port", str(self.moto_port)]
        proxy = [sys.executable, str(PROXY), "--port", str(self.port), "--upstream", str(self.moto_port)]
        for argv in (moto, proxy):
            self.processes.append(subprocess.Popen(argv, start_new_session=True, **quiet))  # type: ignore[call-overload]
        for port in (self.moto_port, self.port):
            _wait_for(port)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def make_bucket(self, name: str, *, versions: bool = False) -> None:
        self.send("PUT", f"/{name}", b"")
        if versions:
            self.send(
                "PUT",
                f"/{name}?versioning",
                b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
            )

    def versions_of(self, bucket: str, prefix: str) -> int:
        """Return how many old and new versions of objects a bucket holds, delete markers left out."""
        query = urllib.parse.urlencode({"versions": "", "prefix": prefix})
        return self.send("GET", f"/{bucket}?{query}").count("<Version>")

    def fail(self, *faults: dict[str, Any]) -> None:
        """Let requests fail from now on; nothing fails without faults."""
        _send(f"{self.endpoint}/__faults__", "POST", json.dumps(faults).encode())

    def requests(self) -> list[str]:
        """Return what was asked since :meth:`fail`."""
        return list(json.loads(_send(f"{self.endpoint}/__requests__", "GET")))

    def make_user(self, name: str, actions: list[str]) -> tuple[str, str]:
        """Return the access key of a new account that may do only that."""
        allowed = [{"Effect": "Allow", "Action": actions, "Resource": "*"}]
        policy = json.dumps({"Version": "2012-10-17", "Statement": allowed})
        self._iam(Action="CreateUser", UserName=name)
        self._iam(Action="PutUserPolicy", UserName=name, PolicyName="own", PolicyDocument=policy)
        said = self._iam(Action="CreateAccessKey", UserName=name)
        found = [re.search(f"<{tag}>(.*?)</{tag}>", said) for tag in ("AccessKeyId", "SecretAccessKey")]
        return found[0][1], found[1][1]  # type: ignore[index]

    def check_keys(self, *, yes: bool) -> None:
        """Let moto check signatures and permissions from now on, or believe everybody."""
        self.send("POST", "/moto-api/reset-auth", b"0" if yes else b"Infinity")

    def send(self, method: str, path: str, body: bytes | None = None) -> str:
        return _send(f"http://127.0.0.1:{self.moto_port}{path}", method, body)

    def _iam(self, **form: str) -> str:
        scope = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": LOGIN.format("iam")}
        data = urllib.parse.urlencode({**form, "Version": "2010-05-08"}).encode()
        return _send(f"http://127.0.0.1:{self.moto_port}/", "POST", data, scope)


def _send(url: str, method: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> str:
    lines = headers or {"Content-Type": "text/plain", "Authorization": LOGIN.format("s3")}
    request = urllib.request.Request(url, data=body, method=method, headers=lines)  # noqa: S310  # on this machine
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # on this machine
        return str(answer.read().decode())


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(port: int) -> None:
    for _attempt in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"nothing listens on port {port} after 30 s")
