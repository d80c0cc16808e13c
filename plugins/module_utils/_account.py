# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do something as another account: a program with a limit of time, or a function. Private to this collection.

What root did in a directory that an account owns could be led elsewhere by a link of that account. So it is done by the account.
"""

from __future__ import annotations

import ctypes
import json
import os
import pwd
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MARK = "RUNBOOK_OPS_WORK"  # in the environment of what is started here, so that it is found again after this process was killed
LIBC = ctypes.CDLL(None, use_errno=True)
DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
TAIL_BYTES, LOG_BYTES = 20_000, 20_000_000


class AccountError(Exception):
    """It cannot be done as this account, or it failed; the message is one line."""


class Account(NamedTuple):
    """Who does it."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


class Ended(NamedTuple):
    """How a program ended."""

    code: int | None  # None: its time was over
    output: str  # the end of it


def account_of(name: str | None) -> Account:
    """Return the account ``name``; this process's own without one.

    :raises AccountError: there is none, or only root may act as it.
    """
    try:
        found = pwd.getpwnam(name) if name else pwd.getpwuid(os.geteuid())
    except KeyError:
        raise AccountError(
            f"there is no account {name or os.geteuid()} on this host: create it, or correct user"
        ) from None
    if found.pw_uid != os.geteuid() and os.geteuid() != 0:
        raise AccountError(f"only root may act as {found.pw_name}: run with become")
    groups = tuple(os.getgrouplist(found.pw_name, found.pw_gid))
    return Account(found.pw_name, found.pw_uid, found.pw_gid, groups, found.pw_dir)


def acting_as(account: Account, function: Callable[[], Any]) -> Any:
    """Return what ``function`` returns, called by a process of ``account``; JSON types only.

    :raises AccountError: it raised; the message is that of its exception.
    """
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _answer(account, function, writer, parent)  # does not return
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        said = answers.read()
    os.waitpid(child, 0)
    try:
        answer = json.loads(said)
    except ValueError:
        raise AccountError(
            f"a process of {account.name} was killed: see the kernel's log, then run this again"
        ) from None
    if "error" in answer:
        raise AccountError(answer["error"])
    return answer["result"]


def _answer(account: Account, function: Callable[[], Any], writer: int, parent: int) -> None:
    try:
        try:
            _close_all_but(writer)
            _become(account)
            LIBC.prctl(DEATH_SIGNAL, signal.SIGKILL)  # after that: a change of account takes it away
            if os.getppid() != parent:
                return
            answer = {"result": function()}
        except OSError as exc:
            answer = {"error": f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc)}
        except Exception as exc:  # whatever it is, it must not go on in this process
            answer = {"error": str(exc) or type(exc).__name__}
        with os.fdopen(writer, "wb") as target:
            target.write(json.dumps(answer).encode())
    finally:
        os._exit(0)


def _close_all_but(kept: int) -> None:
    """Close what was open: a lock that this process inherited would be held for as long as it lives."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # a list, as it is at one moment
        if int(name) > 2 and int(name) != kept:
            with suppress(OSError):
                os.close(int(name))


def _become(account: Account) -> None:
    os.umask(0o022)
    if os.geteuid() == 0:
        os.setgroups(account.groups)
        os.setgid(account.gid)
        os.setuid(account.uid)


def program_of(name: str, path: str = PATH) -> str:
    """Return the absolute path of a program.

    :raises AccountError: it is not installed.
    """
    found = shutil.which(name, path=path)
    if found is None:
        raise AccountError(f"{name} is not installed on this host: install it, or put it on the PATH")
    return found


def run(
    account: Account,
    arguments: Sequence[str],
    *,
    cwd: str,
    environment: Mapping[str, str],
    seconds: float,
    log: BinaryIO | None = None,
    most: int | None = TAIL_BYTES,
) -> Ended:
    """Run a program to its end, or to the end of its time; nothing that it started is left.

    :param environment: the whole of it; PATH and HOME are given where they are missing
    :param most: bytes of the end of its output to return; None is all
    :raises AccountError: it cannot be started.
    """
    mark = f"{os.getpid()}.{time.monotonic_ns()}"
    known = {"PATH": PATH, "HOME": account.home, "LANG": "C.UTF-8", MARK: mark, **environment}
    become: dict[str, Any] = {}
    if os.geteuid() == 0 and account.uid != 0:
        become = {"user": account.uid, "group": account.gid, "extra_groups": list(account.groups)}
    program = program_of(arguments[0], known["PATH"])
    try:
        process = subprocess.Popen(
            [program, *arguments[1:]],
            cwd=cwd,
            env=known,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o022,
            **become,
        )
    except OSError as exc:
        raise AccountError(f"cannot start {program} in {cwd} as {account.name}: {exc.strerror}") from exc
    try:
        tail, over = _follow(process, time.monotonic() + seconds, log, most)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        end_marked(known[MARK])
        process.wait()
    return Ended(None if over else process.returncode, tail.decode("utf-8", "replace"))


def _follow(
    process: subprocess.Popen[bytes], deadline: float, log: BinaryIO | None, most: int | None
) -> tuple[bytes, bool]:
    """Read what ``process`` writes until it has ended; return the end of that, and whether its time was over."""
    if process.stdout is None:
        return b"", False
    handle, tail, written = process.stdout.fileno(), b"", 0
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return tail, True
        ready, _writable, _failed = select.select([handle], [], [], min(left, 0.2))
        data = os.read(handle, 65536) if ready else b""
        tail = tail + data if most is None else (tail + data)[-most:]
        if log is not None and data and written < LOG_BYTES:
            written += len(data)
            log.write(data)
        if (ready and not data) or (not ready and process.poll() is not None):
            break  # all have closed it; or it has ended, and something that it left behind has not
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return tail, True
    return tail, False


def end_marked(mark: str, *, variable: str = MARK) -> list[int]:
    """Kill all processes that have ``variable`` with the value ``mark`` in their environment, and return which."""
    wanted, ended = f"{variable}={mark}".encode(), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)
                ended.append(int(entry.name))
    return ended
