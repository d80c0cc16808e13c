# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compression and encryption of a stream, as stages of a pipeline. Private to this collection.

To encrypt, only public recipients are needed; the key that decrypts comes from outside, by a pipe, and is never on disk.
The suffixes of a file's name say what was done to it, in order: ``dump.custom.zst.age``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._pipeline import (
    PipelineError,
    Source,
    Stage,
    run_pipeline,
)

# The option of the modules that make backups.
ENCRYPTION: dict[str, Any] = {
    "type": "dict",
    "options": {
        "method": {"type": "str", "choices": ["age", "gpg"], "required": True},
        "recipients": {"type": "list", "elements": "str", "required": True},
    },
}
SUFFIXES = {"zstd": ".zst", "gzip": ".gz", "none": ""}
# Its quickest level: what it needs next to nothing for is far smaller than what gzip takes minutes for.
ENCODE = {"zstd": ("zstd", "-q", "-T0", "-1", "-c"), "gzip": ("gzip", "-c")}
DECODE = {".zst": ("zstd", "-q", "-d", "-c"), ".gz": ("gzip", "-d", "-c")}
PACKAGES = {"zstd": "zstd", "gzip": "gzip", "age": "age", "gpg": "gnupg"}
PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOME = "runbook-ops-gpg-"  # and the number of the process that it belongs to
MEMORY = Path("/dev/shm")  # noqa: S108  # no name in it can be guessed


class CodecError(Exception):
    """A stream cannot be compressed, encrypted or read as asked; the message is one line that says what to do."""


def installed(program: str) -> bool:
    return shutil.which(program, path=PLACES) is not None


def require(program: str, why: str) -> None:
    """Make sure that ``program`` is here.

    :raises CodecError: it is not.
    """
    if not installed(program):
        raise CodecError(f"{why}, and {program} is not installed on this host: install {PACKAGES[program]}")


def choose_compression(wanted: str) -> str:
    """Return ``zstd``, ``gzip`` or ``none``; ``auto`` is the first of them whose program is here.

    :raises CodecError: the program that is asked for is not here.
    """
    if wanted == "auto":
        return next((name for name in ENCODE if installed(name)), "none")
    if wanted != "none":
        require(wanted, f"compression is {wanted}")
    return wanted


def encoding(compression: str, encryption: Mapping[str, Any] | None) -> tuple[list[Stage], str]:
    """Return the stages that compress and encrypt what they are fed with, and the suffix of the file's name.

    :raises CodecError: a program is not here, or nobody could decrypt it.
    """
    stages = []
    if compression != "none":
        require(compression, f"compression is {compression}")
        stages.append(Stage(ENCODE[compression]))
    suffix = SUFFIXES[compression]
    if encryption:
        stages.append(_encrypt(encryption))
        suffix += f".{encryption['method']}"
    return stages, suffix


def prove(encryption: Mapping[str, Any]) -> None:
    """Encrypt nothing, so that a recipient that is none is found before the work and not after it.

    :raises CodecError: it cannot be encrypted for them.
    """
    try:
        run_pipeline([_encrypt(encryption)], source=b"", timeout_seconds=30)
    except PipelineError as exc:
        told = next((line for line in exc.stderr.splitlines() if line.strip()), str(exc))
        raise CodecError(
            f"{encryption['method']} cannot encrypt for {', '.join(encryption['recipients'])}: {told}: correct the recipients"
        ) from exc


def is_encrypted(path: Path) -> bool:
    return path.suffix in (".age", ".gpg")


@contextmanager
def decoding(path: Path, *, identity: str | None = None) -> Iterator[tuple[list[Stage], Source]]:
    """Give the stages that make of the file ``path`` what was saved, and what to feed the first of them with.

    Append your own stage. Where there is none to decode, feed it with the source.

    :param identity: the private key: an age identity, or an armoured key of GnuPG without a passphrase
    :raises CodecError: it is encrypted and there is no identity, or a program is not here.
    """
    stages: list[Stage] = []
    source: Source = path
    home = None
    name = path
    try:
        if is_encrypted(path):
            if not identity:
                raise CodecError(f"{path.name} is encrypted with {path.suffix[1:]}: give the private key as identity")
            require(path.suffix[1:], f"{path.name} is encrypted")
            name = path.with_suffix("")
            if path.suffix == ".age":
                stages, source = [Stage(["age", "-d", "-i", "-", str(path)])], identity.strip().encode() + b"\n"
            else:
                home = _import(identity)
                stages = [_gpg(home, "--decrypt")]
        if name.suffix in DECODE:
            require(DECODE[name.suffix][0], f"{path.name} is compressed")
            stages.append(Stage(DECODE[name.suffix]))
        yield stages, source
    finally:
        if home:
            _forget(home)


class _EnoughError(Exception):
    """What is wanted of a stream has come."""


def read_head(path: Path, most: int, *, identity: str | None = None) -> bytes:
    """Return the first bytes, ``most`` at most, of what was saved in the file ``path``.

    :raises CodecError: see :func:`decoding`.
    :raises PipelineError: it cannot be decrypted or unpacked.
    """
    head = bytearray()

    def take(data: bytes) -> None:
        head.extend(data[: most - len(head)])
        if len(head) == most:
            raise _EnoughError

    with decoding(path, identity=identity) as (stages, source), suppress(_EnoughError):
        if stages:
            run_pipeline(stages, source=source, sink=take)
        else:
            with path.open("rb") as file:
                take(file.read(most))
    return bytes(head)


def _encrypt(encryption: Mapping[str, Any]) -> Stage:
    """Return what encrypts.

    :raises CodecError: there are no recipients, or the program is not here.
    """
    method, recipients = encryption["method"], encryption["recipients"]
    if not recipients:
        raise CodecError(f"encryption with {method} needs recipients: name at least one public key")
    require(method, f"encryption is {method}")
    chosen: list[str] = []
    for one in recipients:
        file = one.startswith("/")
        chosen += (["-R" if file else "-r"] if method == "age" else ["-f" if file else "-r"]) + [one]
    return Stage(["age", *chosen]) if method == "age" else _gpg(None, *chosen, "--trust-model", "always", "--encrypt")


def _gpg(home: Path | None, *arguments: str) -> Stage:
    """Return GnuPG with our account's keys, or those in ``home``. What it gets is compressed already."""
    where = ["--homedir", str(home)] if home else []
    return Stage(["gpg", *where, "--batch", "--no-tty", "--quiet", "--no-auto-key-locate", "-z", "0", *arguments])


def _import(identity: str) -> Path:
    """Return a directory in memory in which GnuPG has the private key.

    :raises CodecError: it takes no such key.
    """
    place = MEMORY if MEMORY.is_dir() else Path(tempfile.gettempdir())
    _forget_abandoned(place)
    home = Path(tempfile.mkdtemp(prefix=f"{HOME}{os.getpid()}-", dir=place))
    try:
        run_pipeline([_gpg(home, "--import")], source=identity.encode(), timeout_seconds=30)
    except PipelineError as exc:
        _forget(home)
        raise CodecError(f"GnuPG does not take the private key: {exc}") from exc
    return home


def _forget_abandoned(place: Path) -> None:
    """Delete the keys of processes that were killed."""
    for home in place.glob(f"{HOME}*-*"):
        number = home.name[len(HOME) :].partition("-")[0]
        with suppress(FileNotFoundError):  # another process forgets the same one
            if number.isdigit() and home.lstat().st_uid == os.geteuid() and not Path("/proc", number).exists():
                _forget(home)


def _forget(home: Path) -> None:
    try:
        run_pipeline([Stage(["gpgconf", "--homedir", str(home), "--kill", "all"])], timeout_seconds=10)
    except PipelineError:
        pass  # its agent ends by itself when the directory is gone
    finally:
        shutil.rmtree(home, ignore_errors=True)
