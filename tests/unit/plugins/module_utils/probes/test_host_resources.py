# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disk, memory, swap and load are judged by what is left."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError, read_options
from ansible_collections.runbook.ops.plugins.module_utils.probes import disk, load, memory, swap

GB = 1000**3
MOUNTS = """\
overlay / overlay rw,relatime 0 0
overlay /var/lib/docker/overlay2/ab/merged overlay rw,relatime 0 0
proc /proc proc rw 0 0
tmpfs /run tmpfs rw 0 0
/dev/vda1 /home ext4 rw 0 0
/dev/vdb1 /srv/two\\040words xfs rw 0 0
tank/data /tank zfs rw 0 0
nas:/backups /backups nfs4 rw 0 0
/dev/loop3 /snap/core/1 squashfs ro 0 0
"""


def test_a_disk_that_grows_is_told_when_it_is_full():
    now = 10 * 86400.0
    lines = [json.dumps({"at": now - hour * 3600, "values": {"disk:/": 80 - hour / 12}}) for hour in range(100, 0, -1)]
    room = {"path": "/", "used_bytes": 80 * GB, "free_bytes": 20 * GB, "inodes": 0, "inodes_free": 0}
    measured = {"filesystems": [room], "history": lines, "now": now}
    space, forecast = disk.judge(measured, options(disk))
    assert (space["id"], forecast["id"], forecast["status"]) == ("disk:/", "forecast:/", "warning")
    assert forecast["value"] == pytest.approx(10, abs=0.2)
    assert [check["id"] for check in disk.judge({**measured, "history": []}, options(disk))] == ["disk:/"]


def options(probe, **raw):
    return read_options({"probe": "x", "section": "Host", **raw}, probe.OPTIONS, where="probes[0]")


def test_only_local_file_systems_count_of_themselves():
    assert disk.real_mounts(MOUNTS) == ["/", "/home", "/tank", "/srv/two words"]


@pytest.mark.parametrize(
    ("used", "status"),
    [(10, "ok"), (79, "ok"), (80, "warning"), (89.9, "warning"), (90, "critical"), (100, "critical")],
)
def test_space_is_judged_as_df_counts_it(used, status):
    fs = {
        "path": "/",
        "used_bytes": int(used * GB),
        "free_bytes": int((100 - used) * GB),
        "inodes": 0,
        "inodes_free": 0,
    }
    (check,) = disk.judge({"filesystems": [fs], "history": [], "now": 0.0}, options(disk))
    assert (check["id"], check["status"], check["value"], check["unit"]) == ("disk:/", status, used, "%")


def test_inodes_can_run_out_while_there_is_space():
    fs = {"path": "/", "used_bytes": GB, "free_bytes": 9 * GB, "inodes": 1000, "inodes_free": 20}
    space, inodes = disk.judge({"filesystems": [fs], "history": [], "now": 0.0}, options(disk))
    assert (space["status"], inodes["status"], inodes["value"]) == ("ok", "critical", 98.0)
    assert "--inodes" in inodes["remedy"]


def test_named_paths_are_measured_and_a_missing_one_is_said():
    measured = disk.measure(options(disk, paths=["/"]))
    stat = os.statvfs("/")
    assert measured["filesystems"][0]["inodes"] == stat.f_files
    with pytest.raises(ProbeError, match="/nowhere does not exist"):
        disk.measure(options(disk, paths=["/nowhere"]))


@pytest.mark.parametrize(("available", "status"), [(50, "ok"), (10, "warning"), (5, "critical")])
def test_memory_is_judged_by_what_is_available(available, status):
    measured = {"total_bytes": 100 * GB, "available_bytes": available * GB}
    assert memory.judge(measured, options(memory))[0]["status"] == status


def test_memory_and_load_can_be_read_here():
    measured = memory.measure(options(memory))
    assert 0 < measured["available_bytes"] <= measured["total_bytes"]
    assert load.measure(options(load))["processors"] >= 1


def test_a_host_without_swap_is_in_order():
    (check,) = swap.judge({"total_bytes": 0, "free_bytes": 0}, options(swap))
    assert (check["status"], check["detail"]) == ("ok", "this host has no swap")


def test_swap_in_use_is_a_warning():
    assert swap.judge({"total_bytes": 10, "free_bytes": 4}, options(swap))[0]["status"] == "warning"


@pytest.mark.parametrize(("value", "status"), [(1.0, "ok"), (8.0, "warning"), (16.0, "critical")])
def test_load_is_judged_for_each_processor(value, status):
    assert load.judge({"load": value, "processors": 4}, options(load))[0]["status"] == status
