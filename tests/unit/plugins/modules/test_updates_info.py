# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pending updates and reboots of a host that is a directory and two fakes; the probes look through the same code."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError, read_options
from ansible_collections.runbook.ops.plugins.module_utils.probes import reboot, updates
from ansible_collections.runbook.ops.plugins.modules import updates_info

NOW = 1_795_000_000.0
LINE = "Inst openssl [1] (2 Debian-Security:12/oldstable-security [amd64])\n"


class Fake:
    def __init__(self, answer):
        self.answer, self.calls = answer, []

    def __call__(self, *arguments):
        self.calls.append(arguments)
        return self.answer


@pytest.fixture
def root(tmp_path):
    lists = tmp_path / "var/lib/apt/lists"
    lists.mkdir(parents=True)
    (lists / "deb.example_dists_x_InRelease").write_text("")
    os.utime(lists, (NOW - 3_600, NOW - 3_600))
    return tmp_path


def run(root, *, apt_get=None, apt_mark=None, running="6.1.0-9-amd64", **options):
    limits = {"pending": {}, "security": {"warning": 1}, "index_age_days": {"warning": 8}, "refresh_error": None}
    apt_get, apt_mark = apt_get or Fake(LINE), apt_mark or Fake("openssl\n")
    everything = {**limits, **options}
    return updates_info.run(everything, apt_get=apt_get, apt_mark=apt_mark, root=root, running_kernel=running, now=NOW)


def test_it_simulates_without_lock_and_with_held_packages_and_changes_nothing(root):
    apt_get, apt_mark = Fake(LINE), Fake("openssl\n")

    result = run(root, apt_get=apt_get, apt_mark=apt_mark)

    assert apt_get.calls == [("--simulate", "-o", "Debug::NoLocking=1", "--ignore-hold", "dist-upgrade")]
    assert apt_mark.calls == [("showhold",)]
    assert result["changed"] is False
    assert result["updates"][0]["held"]
    assert (result["index_at"], result["index_age_seconds"]) == ("2026-11-18T10:06:40Z", 3_600)
    assert [check["status"] for check in result["checks"]] == ["warning", "ok", "ok", "ok"]


def test_a_stamp_tells_of_a_refresh_that_found_nothing_new(root):
    stamp = root / "var/lib/apt/periodic/update-success-stamp"
    stamp.parent.mkdir()
    stamp.write_text("")
    os.utime(stamp, (NOW - 60, NOW - 60))
    assert run(root)["index_age_seconds"] == 60


def test_a_host_without_an_index_says_so(tmp_path):
    result = run(tmp_path)
    assert (result["index_at"], result["index_age_seconds"]) == (None, None)
    assert result["checks"][2]["status"] == "warning"


def test_an_index_from_the_future_is_fresh(root):
    os.utime(root / "var/lib/apt/lists", (NOW + 9_999, NOW + 9_999))
    assert run(root)["index_age_seconds"] == 0


def test_a_refresh_that_failed_is_a_warning(root):
    check = run(root, refresh_error="Failed to fetch")["checks"][2]
    assert (check["status"], "Failed to fetch" in check["detail"]) == ("warning", True)


def test_a_reboot_is_asked_for_by_file_and_by_kernel(root):
    (root / "run").mkdir()
    (root / "run/reboot-required").write_text("*** System restart required ***\n")
    (root / "run/reboot-required.pkgs").write_text("libc6\nlibc6\nlinux-base\n")
    (root / "boot").mkdir()
    for release in ("6.1.0-9-amd64", "6.1.0-10-amd64"):
        (root / f"boot/vmlinuz-{release}").write_text("")

    boot = run(root)["reboot"]

    assert boot == {
        "required": True,
        "packages": ["libc6", "linux-base"],
        "running_kernel": "6.1.0-9-amd64",
        "newest_kernel": "6.1.0-10-amd64",
    }


def test_in_a_container_no_kernel_of_its_own_can_wait(root):
    (root / "boot").mkdir()
    (root / "boot/vmlinuz-6.1.0-10-amd64").write_text("")
    (root / "run/systemd").mkdir(parents=True)
    (root / "run/systemd/container").write_text("podman\n")
    assert run(root)["reboot"]["newest_kernel"] is None


def probe_options(probe, **given):
    options = read_options({"probe": "x", **given}, probe.OPTIONS, where="test")
    return {**options, "section": probe.SECTION}


def test_the_probes_judge_alike(root):
    options = probe_options(updates)
    measured = updates.collect(Fake(LINE), Fake(""), root=root, now=NOW)
    assert updates.judge(measured, options) == run(root, apt_mark=Fake(""))["checks"][:3]
    options = probe_options(reboot)
    assert reboot.judge(reboot.look(root, "6.1.0-9-amd64"), options) == run(root)["checks"][3:]
    assert reboot.measure(options)["running_kernel"] == os.uname().release


@pytest.mark.parametrize(
    ("error", "message"),
    [
        pytest.param(FileNotFoundError(), "has no apt-get", id="another family"),
        pytest.param(subprocess.TimeoutExpired("apt-get", 5), "did not answer within 5 s", id="too slow"),
    ],
)
def test_a_probe_that_cannot_look_says_why(monkeypatch, error, message):
    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr(updates.subprocess, "run", fail)
    with pytest.raises(ProbeError, match=message):
        updates.measure(probe_options(updates))


def test_a_program_that_fails_is_quoted(monkeypatch):
    done = subprocess.CompletedProcess([], 100, "", "E: first\nE: The list of sources could not be read.\n")
    monkeypatch.setattr(updates.subprocess, "run", lambda *_arguments, **_options: done)
    with pytest.raises(ProbeError, match=r"failed \(100\): E: The list of sources could not be read"):
        updates.measure(probe_options(updates))
