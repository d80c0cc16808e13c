# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the probes are, one import a function. Private to this collection.

What a run does not ask for is not loaded, and whoever packs a module for a host still finds it by reading.
"""

# ruff: noqa: PLC0415  # an import inside each function is what this file is for
from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _alerts() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import alerts

    return alerts


def _aws_cost() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import aws_cost

    return aws_cost


def _backup_files() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import backup_files

    return backup_files


def _backup_log() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import backup_log

    return backup_log


def _backup_proof() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import backup_proof

    return backup_proof


def _bucket() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import bucket

    return bucket


def _certificate() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import certificate

    return certificate


def _clock() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import clock

    return clock


def _compose() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import compose

    return compose


def _cpu() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import cpu

    return cpu


def _disk() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import disk

    return disk


def _dns() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import dns

    return dns


def _docker_disk() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import docker_disk

    return docker_disk


def _error_rate() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import error_rate

    return error_rate


def _http() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import http

    return http


def _latency() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import latency

    return latency


def _listening() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import listening

    return listening


def _load() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import load

    return load


def _log_errors() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import log_errors

    return log_errors


def _memory() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import memory

    return memory


def _monitor() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import monitor

    return monitor


def _mongodb() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import mongodb

    return mongodb


def _pgbackrest() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import pgbackrest

    return pgbackrest


def _pm2() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import pm2

    return pm2


def _port() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import port

    return port


def _postgresql() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import postgresql

    return postgresql


def _prometheus() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import prometheus

    return prometheus


def _processes() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import processes

    return processes


def _query() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import query

    return query


def _queue() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import queue

    return queue


def _queue_http() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import queue_http

    return queue_http


def _reboot() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import reboot

    return reboot


def _redis() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import redis

    return redis


def _schedule() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import schedule

    return schedule


def _swap() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import swap

    return swap


def _systemd_failed() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import systemd_failed

    return systemd_failed


def _systemd_unit() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import systemd_unit

    return systemd_unit


def _updates() -> Any:
    from ansible_collections.runbook.ops.plugins.module_utils.probes import updates

    return updates


# In this order they are started: what waits for another program or for the network first, so that the rest is free.
PROBES: dict[str, Callable[[], Any]] = {
    "updates": _updates,
    "docker_disk": _docker_disk,
    "postgresql": _postgresql,
    "pgbackrest": _pgbackrest,
    "query": _query,
    "compose": _compose,
    "mongodb": _mongodb,
    "dns": _dns,
    "cpu": _cpu,
    "processes": _processes,
    "systemd_unit": _systemd_unit,
    "systemd_failed": _systemd_failed,
    "clock": _clock,
    "certificate": _certificate,
    "bucket": _bucket,
    "aws_cost": _aws_cost,
    "prometheus": _prometheus,
    "alerts": _alerts,
    "http": _http,
    "latency": _latency,
    "queue_http": _queue_http,
    "redis": _redis,
    "queue": _queue,
    "pm2": _pm2,
    "listening": _listening,
    "port": _port,
    "error_rate": _error_rate,
    "log_errors": _log_errors,
    "backup_log": _backup_log,
    "backup_files": _backup_files,
    "backup_proof": _backup_proof,
    "reboot": _reboot,
    "monitor": _monitor,
    "schedule": _schedule,
    "disk": _disk,
    "memory": _memory,
    "swap": _swap,
    "load": _load,
}
