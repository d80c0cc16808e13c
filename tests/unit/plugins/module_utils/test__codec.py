# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is compressed and encrypted comes back as it was, with the right key only, and no key is ever on disk."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _codec
from ansible_collections.runbook.ops.plugins.module_utils._codec import (
    CodecError,
    choose_compression,
    decoding,
    encoding,
    installed,
    prove,
    read_head,
)
from ansible_collections.runbook.ops.plugins.module_utils._pipeline import PipelineError, Stage, run_pipeline

CAT = Stage(["cat"])
DATA = os.urandom(200_000) + b"z" * 200_000


def new_key():
    told = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    return told, next(line.split()[-1] for line in told.splitlines() if "public key" in line)


@pytest.fixture(scope="module")
def age():
    if not installed("age"):
        pytest.skip("age is not installed")
    return new_key()


@pytest.fixture(scope="module")
def gpg(tmp_path_factory):
    if not installed("gpg"):
        pytest.skip("gpg is not installed")
    place = tmp_path_factory.mktemp("gpg")
    home = place / "home"
    home.mkdir(mode=0o700)
    base = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    subprocess.run(
        [*base, "--quick-gen-key", "backup@example.com", "default", "default", "never"], check=True, capture_output=True
    )
    public, secret = (
        subprocess.run([*base, "--armor", what], check=True, capture_output=True, text=True).stdout
        for what in ("--export", "--export-secret-keys")
    )
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    (place / "public.asc").write_text(public)
    return secret, str(place / "public.asc")


def written(tmp_path, compression, encryption):
    stages, suffix = encoding(compression, encryption)
    path = tmp_path / f"dump{suffix}"
    with path.open("wb") as file:
        run_pipeline(stages or [CAT], source=DATA, sink=file.write)
    return path


def read(path, identity=None):
    with decoding(path, identity=identity) as (stages, source):
        return run_pipeline([*stages, CAT], source=source).out


@pytest.mark.parametrize("compression", [one for one in ("zstd", "gzip", "none") if one == "none" or installed(one)])
@pytest.mark.parametrize("method", [None, "age", "gpg"])
def test_what_was_saved_comes_back(tmp_path, request, compression, method):
    identity, public = request.getfixturevalue(method) if method else (None, None)
    encryption = {"method": method, "recipients": [public]} if method else None
    path = written(tmp_path, compression, encryption)
    assert read(path, identity) == DATA
    assert path.name == "dump" + {"zstd": ".zst", "gzip": ".gz", "none": ""}[compression] + (
        f".{method}" if method else ""
    )


def test_another_key_reads_nothing(tmp_path, age):
    path = written(tmp_path, "gzip", {"method": "age", "recipients": [age[1]]})
    with pytest.raises(PipelineError, match=r"age failed .*no identity matched"):
        read(path, new_key()[0])


def test_what_is_encrypted_is_refused_without_a_key(tmp_path):
    with pytest.raises(CodecError, match=r"x\.age is encrypted with age: give the private key as identity"):
        read(tmp_path / "x.age")


def test_a_file_that_is_cut_off_is_an_error(tmp_path):
    path = written(tmp_path, "gzip", None)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(PipelineError, match="gzip failed"):
        read(path)


def test_the_key_of_age_is_no_argument_and_no_file(tmp_path, age):
    with decoding(tmp_path / "x.zst.age", identity=age[0]) as (stages, source):
        assert age[0].strip() in source.decode()
        assert not any("AGE-SECRET" in word for stage in stages for word in stage.argv)


def test_nothing_is_left_of_the_key_of_gpg(tmp_path, gpg):
    path = written(tmp_path, "none", {"method": "gpg", "recipients": [gpg[1]]})
    assert read(path, gpg[0]) == DATA
    assert not list(_codec.MEMORY.glob("runbook-ops-gpg-*"))


def test_the_key_that_a_killed_process_left_in_memory_is_deleted_by_the_next(tmp_path, gpg):
    left = [_codec.MEMORY / f"{_codec.HOME}{number}-x" for number in (2**30, os.getppid())]
    for one in left:
        one.mkdir(mode=0o700)
    try:
        read(written(tmp_path, "none", {"method": "gpg", "recipients": [gpg[1]]}), gpg[0])
        assert [one.exists() for one in left] == [False, True]  # the other's process lives
    finally:
        left[1].rmdir()


@pytest.mark.parametrize("method", ["age", "gpg"])
@pytest.mark.parametrize("recipient", ["nobody", "age1nonsense", "/no/such/file"])
def test_a_recipient_that_is_none_is_found_before_the_work(method, recipient):
    if not installed(method):
        pytest.skip(f"{method} is not installed")
    with pytest.raises(CodecError, match=f"{method} cannot encrypt for {recipient}: .*: correct the recipients"):
        prove({"method": method, "recipients": [recipient]})


def test_nobody_could_read_what_is_encrypted_for_nobody():
    with pytest.raises(CodecError, match="name at least one public key"):
        encoding("none", {"method": "age", "recipients": []})


def test_a_program_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(_codec, "PLACES", str(Path("/nowhere")))
    assert choose_compression("auto") == "none"
    with pytest.raises(CodecError, match="compression is zstd, and zstd is not installed on this host: install zstd"):
        choose_compression("zstd")
    with pytest.raises(CodecError, match="compression is zstd, and zstd is not installed on this host: install zstd"):
        encoding("zstd", None)
    with pytest.raises(CodecError, match="encryption is gpg, and gpg is not installed on this host: install gnupg"):
        prove({"method": "gpg", "recipients": ["x"]})


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("most", [0, 1, 200_000, 400_000, 1_000_000])
def test_the_head_of_a_file_is_read_without_the_rest(tmp_path, compression, most):
    if compression != "none" and not installed(compression):
        pytest.skip(f"{compression} is not installed")
    assert read_head(written(tmp_path, compression, None), most) == DATA[:most]


def test_the_head_of_an_encrypted_file_needs_the_key(tmp_path, age):
    secret, public = age
    path = written(tmp_path, "gzip", {"method": "age", "recipients": [public]})
    assert read_head(path, 100, identity=secret) == DATA[:100]
    with pytest.raises(CodecError, match="give the private key as identity"):
        read_head(path, 100)
    with pytest.raises(PipelineError, match="age failed"):
        read_head(path, 100, identity=new_key()[0])
