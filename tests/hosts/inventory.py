# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to reach the hosts: inventories and known host keys, written anew whenever hosts come and go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from engine import Engine, HostsError
from host import HOSTS, told_by
from workplace import Workplace


def write_inventories(engine: Engine, workplace: Workplace) -> None:
    """Write, for every host that runs, two inventories, its SSH settings and its line among the known hosts.

    ``<name>.yml`` lays the host over the one it stands for in its system's own inventory; ``connect/<name>.yml``
    says how to reach it under its own name; ``ssh/config`` says the same to SSH clients.
    """
    with workplace.lock("inventory"):
        known, settings = [], ["# Written by tests/hosts/hosts.py: ssh -F this-file HOST\n"]
        there = engine.inspect_all([host.container for host in HOSTS.values()])
        for host in HOSTS.values():
            found = there.get(host.container)
            connect = workplace.inventory / "connect" / f"{host.name}.yml"
            overlay = workplace.inventory / f"{host.name}.yml"
            key, told = told_by(host, engine) if found and found["running"] else ("", {})
            if not found or not key:
                connect.unlink(missing_ok=True)
                overlay.unlink(missing_ok=True)
                continue
            port = int(str(found["port"]))
            known.append(f"[127.0.0.1]:{port} {key}\n")
            variables = {**connection(port, host.user, workplace), **told}
            settings.append(_ssh_settings(host.name, port, host.user, workplace))
            _write(connect, {"all": {"hosts": {host.name: variables}}})
            if host.system:
                _write(overlay, {"all": {"hosts": {host.system: variables}}})
        _replace(workplace.ssh / "known_hosts", "".join(known))
        _replace(workplace.ssh / "config", "".join(settings))


def are_written(names: Sequence[str], engine: Engine, workplace: Workplace) -> bool:
    """Return whether the inventories of the hosts ``names`` say where these are now."""
    there = engine.inspect_all([HOSTS[name].container for name in names])
    for name in names:
        path = workplace.inventory / "connect" / f"{name}.yml"
        port = there.get(HOSTS[name].container, {}).get("port")
        if not path.exists() or f'"ansible_port": {port},' not in path.read_text(encoding="utf-8"):
            return False
    return True


def connection(port: int, user: str, workplace: Workplace) -> dict[str, object]:
    """Return the variables by which Ansible reaches a host: they replace those of the real one."""
    options = (f"-o {key}={value}" for key, value in _options(workplace).items())
    return {
        "ansible_host": "127.0.0.1",
        "ansible_port": port,
        "ansible_user": user,
        "ansible_ssh_private_key_file": str(workplace.key),
        "ansible_ssh_common_args": " ".join(options),
        "ansible_python_interpreter": "/usr/bin/python3",
    }


def _options(workplace: Workplace) -> dict[str, str]:
    return {
        "UserKnownHostsFile": str(workplace.ssh / "known_hosts"),
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
    }


def _ssh_settings(name: str, port: int, user: str, workplace: Workplace) -> str:
    address = {"HostName": "127.0.0.1", "Port": str(port), "User": user, "IdentityFile": str(workplace.key)}
    return f"Host {name}\n" + "".join(f"  {key} {value}\n" for key, value in {**address, **_options(workplace)}.items())


def overlay(name: str, workplace: Workplace) -> Path:
    """Return the inventory that lays the host ``name`` over the system's own.

    :raises HostsError: it does not run.
    """
    path = workplace.inventory / f"{name}.yml"
    if not path.exists():
        raise HostsError(f"{name} is not up: run 'python3 tests/hosts/hosts.py up {name}'")
    return path


def ssh_arguments(name: str, workplace: Workplace) -> list[str]:
    """Return the command line that logs in to the host ``name``.

    :raises HostsError: it does not run.
    """
    path = workplace.inventory / "connect" / f"{name}.yml"
    if not path.exists():
        raise HostsError(f"{name} is not up: run 'python3 tests/hosts/hosts.py up {name}'")
    return ["ssh", "-F", str(workplace.ssh / "config"), name]


def _write(path: Path, inventory: dict[str, object]) -> None:
    """Write ``inventory``: JSON is YAML, and the standard library writes it."""
    text = "# Written by tests/hosts/hosts.py: where this test host is.\n---\n" + json.dumps(inventory, indent=2) + "\n"
    _replace(path, text)


def _replace(path: Path, text: str) -> None:
    """Write a file in one instant: other processes read it meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".new")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
