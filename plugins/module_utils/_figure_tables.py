# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The panels that follow from any system's description. Private to this collection."""

from __future__ import annotations

from typing import NamedTuple

NODE, MONITOR, RUNS = "node_exporter", "the monitor on the host", "the runs of the playbooks"
REAL = 'fstype!~"tmpfs|ramfs|squashfs|iso9660|nfs.*|cifs",mountpoint!~"/run.*|/var/lib/docker/.+"'
WIRED = 'device!~"lo|veth.+|docker.*|br-.+"'


class Line(NamedTuple):
    """One expression of a panel; ``@`` in it stands for the choice of hosts."""

    expression: str
    legend: str
    record: str | None = None  # name of the series that a recording rule keeps of it


class Figure(NamedTuple):
    """One panel: what it is called, what it draws, in which unit of Grafana, and whose metrics they are."""

    name: str
    lines: tuple[Line, ...]
    unit: str
    source: str
    threshold: str | None = None  # a key of ops_thresholds, drawn as lines
    kind: str = "timeseries"


def _node(name: str, unit: str, *lines: Line, threshold: str | None = None) -> Figure:
    return Figure(name, lines, unit, NODE, threshold)


def _check(name: str, unit: str, selector: str, *, threshold: str | None = None) -> Figure:
    line = Line(f"runbook_check_value{{@,{selector}}}", "{{instance}} {{id}}")
    return Figure(name, (line,), unit, MONITOR, threshold)


def _share(rest: str, whole: str) -> str:
    return f"max by (instance, mountpoint) (100 * (1 - {rest}{{@,{REAL}}} / ({whole}{{@,{REAL}}} > 0)))"


HOST = (
    _node(
        "Processors busy",
        "percent",
        Line(
            '100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{@,mode="idle"}[5m])))',
            "{{instance}}",
            "instance:runbook_cpu_busy:percent5m",
        ),
        threshold="cpu_percent",
    ),
    _node(
        "Memory in use",
        "percent",
        Line(
            "100 * (1 - node_memory_MemAvailable_bytes{@} / node_memory_MemTotal_bytes{@})",
            "{{instance}}",
            "instance:runbook_memory_used:percent",
        ),
        threshold="memory_percent",
    ),
    _node(
        "Load of each processor",
        "short",
        Line(
            'node_load5{@} / on (instance) group_left () count by (instance) (node_cpu_seconds_total{@,mode="idle"})',
            "{{instance}}",
            "instance:runbook_load:per_cpu",
        ),
        threshold="load_per_cpu",
    ),
    _node(
        "Disk space in use",
        "percent",
        Line(
            _share("node_filesystem_avail_bytes", "node_filesystem_size_bytes"),
            "{{instance}} {{mountpoint}}",
            "instance_mountpoint:runbook_disk_used:percent",
        ),
        threshold="disk_percent",
    ),
    _node(
        "Inodes in use",
        "percent",
        Line(
            _share("node_filesystem_files_free", "node_filesystem_files"),
            "{{instance}} {{mountpoint}}",
            "instance_mountpoint:runbook_inodes_used:percent",
        ),
        threshold="inodes_percent",
    ),
    _node(
        "Network",
        "Bps",
        *(
            Line(
                f"sum by (instance) (rate(node_network_{verb}_bytes_total{{@,{WIRED}}}[5m]))",
                "{{instance}} " + word,
                f"instance:runbook_network_{verb}:bytes_per_second5m",
            )
            for verb, word in (("receive", "in"), ("transmit", "out"))
        ),
    ),
    _node(
        "Disk throughput",
        "Bps",
        *(
            Line(
                f"sum by (instance) (rate(node_disk_{verb}_bytes_total{{@}}[5m]))",
                "{{instance}} " + verb,
                f"instance:runbook_disk_{verb}:bytes_per_second5m",
            )
            for verb in ("read", "written")
        ),
    ),
)
STORES = (
    _check("Connections and memory of databases and Redis", "percent", 'id=~"(postgresql|mongodb|redis):.+",unit="%"'),
    _check("Answers, transactions and replication of databases", "s", 'id=~"(postgresql|mongodb|redis):.+",unit="s"'),
)
SERVICES = (
    _check("Response time", "s", 'id=~"http:.+",unit="s"', threshold="response_seconds"),
    Figure(
        "Available over 30 days",
        (
            Line(
                # Prometheus looks at full five minutes by the clock: before the first of them there is only what is now.
                '100 * (avg_over_time((runbook_check_status{@,id=~"http:.+"} < bool 3)[30d:5m]) or (runbook_check_status{@,id=~"http:.+"} < bool 3))',
                "{{instance}} {{id}}",
                "instance_id:runbook_available:percent30d",
            ),
        ),
        "percent",
        MONITOR,
    ),
    _check("Errors in logs", "short", 'id=~"log:.+",unit="lines"'),
    _check("Memory of services", "bytes", 'id=~"(pm2|compose|systemd):.+:memory"'),
    Figure(
        "What is not well (1 unknown, 2 warning, 3 critical)",
        (Line("runbook_check_status{@} > 0", "{{instance}} {{id}}"),),
        "short",
        MONITOR,
        kind="table",
    ),
    _check("Days left of certificates", "d", 'id=~"certificate:.+",unit="days"', threshold="certificate_days"),
    _check("Age of backups", "s", 'id=~"backup:.+",unit="s"'),
)
QUEUES = (
    _check("Jobs in queues", "short", 'id=~"queue:.+",unit="jobs"'),
    _check("Oldest job that is due", "s", 'id=~"queue:.+:oldest"'),
)
