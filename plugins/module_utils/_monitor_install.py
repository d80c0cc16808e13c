# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the monitor on a host is made of: the engine in one file, its units, what of cron it replaces. Private to this collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _engine_file
from ansible_collections.runbook.ops.plugins.module_utils._engine_file import HOME
from ansible_collections.runbook.ops.plugins.module_utils._receivers import receivers

START = f"{HOME}._monitor_run"
SERVICE, TIMER = "runbook-ops-monitor.service", "runbook-ops-monitor.timer"
MARK = "# runbook.ops monitors instead: "
MAIN = _engine_file.main_program(START, "monitor")
SPANS = (("*-*-* *:*:0/{}", 1, 60), ("*-*-* *:0/{}:00", 60, 60), ("*-*-* 0/{}:00:00", 3600, 24))
UNITS = {
    SERVICE: """# Written by runbook.ops (playbook install_monitoring), which replaces it whole.
[Unit]
Description=Look at this host, and tell when something is wrong
Documentation=https://github.com/runbook-ops/runbook.ops/blob/main/docs/monitoring.md
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart={python} -I {engine} run
TimeoutStartSec={limit}
RuntimeDirectory=runbook-ops-monitor
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
UMask=0077
# It must still look, and tell, when the host has no memory left. What it may do is read, and become another account.
OOMScoreAdjust=-500
MemoryMax=512M
TasksMax=256
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_SYS_PTRACE CAP_CHOWN CAP_FOWNER
# Neither a private /tmp nor a read-only /var: sockets of databases are in the one, the queues of mail servers in the other.
ProtectSystem=full
ProtectHome=read-only
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
# To ask the kernel how far off the clock is; without the right to set it.
SystemCallFilter=@system-service adjtimex clock_adjtime clock_adjtime64
SystemCallErrorNumber=EPERM
""",
    TIMER: """# Written by runbook.ops (playbook install_monitoring), which replaces it whole.
[Unit]
Description=Look at this host every {interval} s

[Timer]
{schedule}
AccuracySec=1s
RandomizedDelaySec={delay}
FixedRandomDelay=yes

[Install]
WantedBy=timers.target
""",
}


def schedule(interval_seconds: int) -> str:
    """Return the lines of a timer that elapses so often: by the clock where that divides a minute, an hour or a day."""
    for text, unit, most in SPANS:
        count, rest = divmod(interval_seconds, unit)
        if not rest and 0 < count < most and most % count == 0:
            # Persistent: one look that the host slept through is made up for as soon as it is up.
            return f"OnCalendar={text.format(count)}\nPersistent=yes"
    return f"OnBootSec=60\nOnUnitActiveSec={interval_seconds}"


def render_units(*, python: str, engine: str, interval_seconds: int, limit_seconds: int) -> dict[str, str]:
    """Return the text of each unit by its name."""
    values = {
        "python": python,
        "engine": engine,
        "interval": interval_seconds,
        "limit": limit_seconds,
        "schedule": schedule(interval_seconds),
        "delay": min(10, interval_seconds // 6),
    }
    return {name: text.format(**values) for name, text in UNITS.items()}


def needed_sources(read: Callable[[str], str | None], start: str = START) -> dict[str, str]:
    """Return the source of all of ours that the engine is made of, by dotted name."""
    return _engine_file.needed_sources(read, start)


def build_engine(sources: Mapping[str, str]) -> bytes:
    """Return the engine."""
    return _engine_file.build_engine(sources, MAIN)


def retire(crontab: str, programs: Sequence[str], *, users: bool) -> tuple[str, list[str]]:
    """Return ``crontab`` with the lines that run one of ``programs`` commented out, and those lines."""
    return _engine_file.retire(crontab, programs, MARK, users=users)


def reinstate(crontab: str) -> tuple[str, list[str]]:
    """Return ``crontab`` with what :func:`retire` commented out as it was, and those lines."""
    return _engine_file.reinstate(crontab, MARK)


def make_config(options: Mapping[str, Any], *, hostname: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the engine reads: the configuration, without its digest, and the secrets.

    :param options: those of the module
    """
    channels, told = receivers(options, hostname=hostname)
    secrets: dict[str, Any] = {"probes": dict(options["secrets"] or {}), **told}
    if options["alive_url"]:
        secrets["alive_url"] = options["alive_url"]
    policy = {key: options[key] for key in ("after", "clear", "remind_seconds")}
    named = {key: options[key] for key in ("system", "host", "probes", "timeout_seconds", "interval_seconds")}
    directory = options["textfile_directory"]
    textfile = f"{directory.rstrip('/')}/runbook_ops.prom" if directory else None
    return {**named, "policy": policy, "channels": channels, "textfile": textfile}, secrets
