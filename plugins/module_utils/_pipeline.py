# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs joined by pipes, without a shell: every exit code counts, nothing outlives us. Private to this collection.

What a shell's pipe hides is told here: ``pg_dump | gzip`` ends with 0 whatever became of pg_dump.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Union

from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError
from ansible_collections.runbook.ops.plugins.module_utils._probe_program import PATH, account_of

CHUNK = 1 << 20  # bytes of a read, and of a pipe where the kernel allows it
KEPT = 16 << 10  # bytes of each program's stderr that are kept: the last ones
SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ: Python names it from 3.10 on
DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
POLITE = "report unexpected or unhelpful errors at"  # how age ends whatever it says
LIBC = ctypes.CDLL(None, use_errno=True)

Sink = Callable[[bytes], Any]
Source = Union[None, bytes, Path, Iterable[bytes]]


class PipelineError(Exception):
    """A program of a pipeline is missing, failed, or took too long; the message is one line."""

    def __init__(self, message: str, *, name: str = "", code: int | None = None, stderr: str = "") -> None:
        super().__init__(message)
        self.name, self.code, self.stderr = name, code, stderr


class Stage(NamedTuple):
    """One program. What is secret stands in ``environment``, never in ``argv``."""

    argv: Sequence[str]
    environment: Mapping[str, str] = {}
    user: str | None = None  # the account it runs as, where we are root
    name: str = ""  # for people; without it the program's
    accept: Sequence[int] = (0,)
    pass_fds: Sequence[int] = ()

    @property
    def title(self) -> str:
        return self.name or os.path.basename(self.argv[0])  # noqa: PTH119  # a string, not a file


class Outcome(NamedTuple):
    """What came of a pipeline whose every part succeeded."""

    out: bytes  # what the last program printed; empty where a sink took it
    size: int  # bytes of it
    errors: tuple[str, ...]  # what each program said on stderr
    seconds: float

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "replace")


def run_pipeline(
    stages: Sequence[Stage],
    *,
    source: Source = None,
    sink: Sink | None = None,
    timeout_seconds: float | None = None,
    output_limit: int = 64 << 20,
) -> Outcome:
    """Run ``stages``, each one's output the next one's input, and return once all have ended well.

    :param source: what the first one reads: nothing, bytes, a file (opened by us, not by its account), or pieces
    :param sink: takes the last one's output piece by piece; without it the output is kept and returned
    :raises PipelineError: one is missing, ended with a code it must not end with, or all together took too long.

    Whatever ``source`` and ``sink`` raise is raised; no program runs any more then. Killed ourselves, the kernel kills them.
    """
    began = time.monotonic()
    line = _Line(stages, None if timeout_seconds is None else began + timeout_seconds)
    kept = bytearray()

    def keep(data: bytes) -> None:
        if len(kept) + len(data) > output_limit:
            raise PipelineError(f"{stages[-1].title} printed more than {output_limit} bytes", name=stages[-1].title)
        kept.extend(data)

    counted = _Counter(sink or keep)
    try:
        line.start(source)
        line.drain(counted)
        codes = line.wait()
    except subprocess.TimeoutExpired:
        slow = line.running() or [stages[-1].title]
        raise PipelineError(f"{slow[0]} did not end within {timeout_seconds:g} s", name=slow[0]) from None
    finally:
        line.close()
    if line.broken:
        raise line.broken
    _judge(stages, codes, line.errors())
    return Outcome(bytes(kept), counted.size, tuple(line.errors()), time.monotonic() - began)


def spawn(stage: Stage, **streams: Any) -> subprocess.Popen[bytes]:
    """Start one program in a session of its own. The kernel kills it when the thread that started it ends.

    :raises PipelineError: it is not installed, may not be run, or its account does not exist.
    """
    home = os.path.expanduser("~")  # noqa: PTH111  # unlike pathlib it takes what there is where nobody knows
    surroundings = {"PATH": PATH, "LC_ALL": "C", "HOME": home, **stage.environment}
    who: dict[str, Any] = {}
    parent = os.getpid()

    def tie() -> None:
        # After the change of account, which would undo it.
        LIBC.prctl(DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    try:
        if stage.user and os.geteuid() == 0:
            who = account_of(stage.user)
            surroundings["HOME"] = who.pop("home")
        return subprocess.Popen(
            list(stage.argv),
            env=surroundings,
            cwd="/",
            start_new_session=True,
            preexec_fn=tie,  # noqa: PLW1509  # it imports nothing and takes no lock
            pass_fds=tuple(stage.pass_fds),
            **who,
            **streams,
        )
    except FileNotFoundError:
        raise PipelineError(f"{stage.argv[0]} is not installed on this host: install it", name=stage.title) from None
    except PermissionError as exc:
        raise PipelineError(f"{stage.argv[0]} may not be run: {exc.strerror}", name=stage.title) from None
    except ProbeError as exc:
        raise PipelineError(str(exc), name=stage.title) from None


def said(stderr: str) -> str:
    """Return the last line of ``stderr`` that says something."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and POLITE not in line]
    return lines[-1] if lines else "it said nothing"


class _Counter:
    def __init__(self, inner: Sink) -> None:
        self._inner, self.size = inner, 0

    def __call__(self, data: bytes) -> None:
        self.size += len(data)
        self._inner(data)


class _Tail:
    """The last bytes of what a program said."""

    def __init__(self) -> None:
        self._kept = b""

    def __call__(self, data: bytes) -> None:
        self._kept = (self._kept + data)[-KEPT:]

    def __str__(self) -> str:
        return self._kept.decode("utf-8", "replace")


class _Line:
    """The processes of one pipeline."""

    def __init__(self, stages: Sequence[Stage], deadline: float | None) -> None:
        self._stages, self._deadline = stages, deadline
        self._processes: list[subprocess.Popen[bytes]] = []
        self._tails = [_Tail() for _stage in stages]
        self._feeder: threading.Thread | None = None
        self.broken: BaseException | None = None  # what the source raised

    def start(self, source: Source) -> None:
        opened = [source.open("rb")] if isinstance(source, Path) else []
        fed = source is not None and not opened
        before: Any = opened[0] if opened else subprocess.PIPE if fed else subprocess.DEVNULL
        try:
            for stage in self._stages:
                process = spawn(stage, stdin=before, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                self._processes.append(process)
                if len(self._processes) > 1 or opened:
                    before.close()  # ours: only then does the one before learn that this one has ended
                _widen(process.stdout)
                before = process.stdout
        finally:
            for file in opened:
                file.close()
        if fed:
            pieces = [source] if isinstance(source, bytes) else source
            self._feeder = threading.Thread(target=self._feed, args=(pieces,), daemon=True)
            self._feeder.start()

    def _feed(self, pieces: Iterable[bytes]) -> None:
        first = self._processes[0].stdin
        if first is None:  # nothing is fed that was not asked for
            return
        try:
            for piece in pieces:
                first.write(piece)
            first.close()
        except BrokenPipeError:
            pass  # it ended early: its exit code says whether it may
        except BaseException as exc:  # raised again by who waits
            # An end of input would look like the end of the data: nobody may see it.
            self.broken = exc
            self.kill()

    def drain(self, sink: Sink) -> None:
        """Hand on what the last one prints, and keep what all say, until all have closed both."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._processes[-1].stdout or 0, selectors.EVENT_READ, sink)
            for process, tail in zip(self._processes, self._tails):
                selector.register(process.stderr or 0, selectors.EVENT_READ, tail)
            while selector.get_map():
                for key, _events in selector.select(self._left()):
                    data = os.read(key.fd, CHUNK)
                    if data:
                        key.data(data)
                    else:
                        selector.unregister(key.fileobj)

    def wait(self) -> list[int]:
        codes = [process.wait(self._left()) for process in self._processes]
        if self._feeder:
            self._feeder.join(self._left())
        return codes

    def _left(self) -> float | None:
        """Return the seconds that are left.

        :raises subprocess.TimeoutExpired: none are.
        """
        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise subprocess.TimeoutExpired("pipeline", 0)
        return left

    def running(self) -> list[str]:
        return [stage.title for stage, process in zip(self._stages, self._processes) if process.poll() is None]

    def errors(self) -> list[str]:
        return [str(tail) for tail in self._tails]

    def kill(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                try:
                    os.killpg(process.pid, signal.SIGKILL)  # with what it started itself
                except ProcessLookupError:
                    process.kill()

    def close(self) -> None:
        """End what still runs, and let go of all pipes."""
        self.kill()
        for process in self._processes:
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()
        if self._feeder:
            self._feeder.join(5)
        for process in self._processes[:1]:
            if process.stdin:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()


def _widen(stream: Any) -> None:
    # An ordinary account has a limit for all its pipes: without it this is slower, not wrong.
    with contextlib.suppress(OSError):
        fcntl.fcntl(stream, SET_PIPE_SIZE, CHUNK)


def _judge(stages: Sequence[Stage], codes: Sequence[int], errors: Sequence[str]) -> None:
    """Raise for the program that failed by itself: not for one that only lost its reader, nor one fed with half a file.

    :raises PipelineError: one failed.
    """
    failed = [(stage, code, error) for stage, code, error in zip(stages, codes, errors) if code not in stage.accept]
    if not failed:
        return
    own = [one for one in failed if one[1] != -signal.SIGPIPE and "broken pipe" not in one[2].lower()]
    stage, code, error = (own or failed)[0]
    how = f"was killed by signal {-code}" if code < 0 else f"failed ({code})"
    words = f": {said(error)}" if error.strip() or code > 0 else ""
    raise PipelineError(f"{stage.title} {how}{words}", name=stage.title, code=code, stderr=error)
