# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the morning checklist takes, beside the same by hand, beside stock tasks, and beside a play that does nothing.

Run it by hand: ``python3 tests/benchmark/checklist.py [--host owlivion-12] [--names 10] [--rounds 7]``. The host must be up
(``python3 tests/hosts/hosts.py up owlivion-12``). Several hosts are several names of that one, each with a connection
of its own: what is compared is what the controller does for each. Nothing is judged; quote ratios, not seconds.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
INVENTORIES = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "runbook-ops" / "inventory"
ANSIBLE = Path(sys.executable).parent / "ansible-playbook"
ENGINE = "ansible_collections.runbook.ops.plugins.module_utils._health"
SYSTEM = "owlivion-1"

# The runbook's commands, made to work without a terminal and with the cheapest way to read a certificate's date.
BY_HAND = """
pm2 jlist >/dev/null
systemctl is-active 'postgresql@*.service' nginx >/dev/null
curl -fsS --max-time 5 https://owlivion.com/api/v1/health >/dev/null
curl -fsS --max-time 5 http://127.0.0.1:3000/api/v1/health >/dev/null
df -h >/dev/null; df -i >/dev/null; free -h >/dev/null; uptime >/dev/null
sudo -u postgres psql -XAtc 'SELECT count(*) FROM pg_stat_activity' owlivion_sync >/dev/null
tail -qn 100 ~/.pm2/logs/*.log | grep -ci 'error\\|warning' >/dev/null
sudo openssl x509 -noout -enddate -in /etc/letsencrypt/live/owlivion.com/fullchain.pem >/dev/null
ls -lt /backups/daily /backups/weekly | head -5 >/dev/null
grep -c 'backup completed' /var/log/owlivion-backup.log >/dev/null
exit 0
"""

HEAD = """
- hosts: all
  gather_facts: false
  become: true
"""
STOCK = """
- hosts: all
  gather_facts: false
  become: true
  tasks:
    - ansible.builtin.command: pm2 jlist
      become_user: owlivion
    - ansible.builtin.service_facts:
    - ansible.builtin.uri: {url: 'https://owlivion.com/api/v1/health', return_content: true}
    - ansible.builtin.uri: {url: 'http://127.0.0.1:3000/api/v1/health', return_content: true}
    - ansible.builtin.command: df -h
    - ansible.builtin.command: free -h
    - ansible.builtin.command: uptime
    - ansible.builtin.command: psql -XAtc 'SELECT count(*) FROM pg_stat_activity' owlivion_sync
      become_user: postgres
    - ansible.builtin.shell: tail -qn 100 /home/owlivion/.pm2/logs/*.log | grep -ci 'error\\|warning'
      failed_when: false
    - ansible.builtin.command: openssl x509 -noout -enddate -in /etc/letsencrypt/live/owlivion.com/fullchain.pem
    - ansible.builtin.find: {paths: [/backups/daily, /backups/weekly], patterns: 'backup_*'}
    - ansible.builtin.command: grep -c 'backup completed' /var/log/owlivion-backup.log
"""
# What the playbook asks for, so that the engine's own share can be measured with it.
PLAN = """
- hosts: all
  gather_facts: false
  roles: [runbook.ops.system]
  tasks:
    - ansible.builtin.copy:
        content: "{{ {'probes': system_description | runbook.ops.health_probes(topics)} | to_json }}"
        dest: "{{ folder }}/question.json"
        mode: '0600'
      delegate_to: localhost
  vars: {folder: FOLDER, topics: [services, endpoints, databases, certificates, host, logs, backups]}
"""
PING = HEAD + "  tasks: [{ansible.builtin.ping: }]\n"


class Bench:
    """The host, under one name or several, and the ways to look at it."""

    def __init__(self, host: str, names: int, folder: Path) -> None:
        source = INVENTORIES / f"{host}.yml"
        if not source.exists():
            sys.exit(f"{host} is not up: run python3 tests/hosts/hosts.py up {host}")
        self.variables = next(iter(yaml.safe_load(source.read_text(encoding="utf-8"))["all"]["hosts"].values()))
        self.folder, self.names = folder, [SYSTEM, *(f"owlivion-{number}" for number in range(2, names + 1))]
        hosts = {
            name: {**self.variables, "ansible_control_path": str(folder / f"{index}.ssh")}
            for index, name in enumerate(self.names)
        }
        inventory = folder / "inventory.yml"
        inventory.write_text(yaml.safe_dump({"owlivion": {"hosts": hosts}}), encoding="utf-8")
        self.inventories = ["-i", str(ROOT / "inventories" / "owlivion"), "-i", str(inventory)]
        for name, play in (
            ("empty", HEAD),
            ("ping", PING),
            ("stock", STOCK),
            ("plan", PLAN.replace("FOLDER", str(folder))),
        ):
            (folder / f"{name}.yml").write_text(play, encoding="utf-8")

    def play(self, path: Path) -> None:
        environment = {**os.environ, "ANSIBLE_FORKS": "20", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        # A busy machine may well have something critical to tell: that is not what is measured.
        argv = [str(ANSIBLE), *self.inventories, str(path), "-e", "health_fail_on=never"]
        done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{path.name} failed:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")

    def ssh(self, index: int, command: str, stdin: bytes = b"") -> bytes:
        variables = self.variables
        argv = [
            "ssh",
            "-o",
            "ControlMaster=auto",
            "-o",
            "ControlPersist=60s",
            "-o",
            f"ControlPath={self.folder}/{index}.hand",
        ]
        argv += ["-i", variables["ansible_ssh_private_key_file"], "-p", str(variables["ansible_port"])]
        argv += variables["ansible_ssh_common_args"].split()
        argv += [f"{variables['ansible_user']}@{variables['ansible_host']}", command]
        return subprocess.run(argv, input=stdin, capture_output=True, check=True).stdout

    def by_hand(self) -> None:
        with ThreadPoolExecutor(max_workers=20) as pool:
            list(pool.map(lambda index: self.ssh(index, "bash -s", BY_HAND.encode()), range(len(self.names))))


def ship_engine(bench: Bench, folder: str) -> None:
    """Put the engine and its question on the host, in ``folder``."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        inside = "ansible_collections/runbook/ops/plugins/module_utils"
        archive.add(
            ROOT / "plugins" / "module_utils", inside, filter=lambda one: None if "__pycache__" in one.name else one
        )
        bench.play(bench.folder / "plan.yml")
        question = (bench.folder / "question.json").read_bytes()
        entry = tarfile.TarInfo("question.json")
        entry.size = len(question)
        archive.addfile(entry, io.BytesIO(question))
    bench.ssh(0, f"mkdir -p {folder} && tar -xf - -C {folder}", content.getvalue())


def measure(ways: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each way; all of them take turns, after one turn that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if number:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def show(title: str, seconds: dict[str, list[float]], ours: str, limits: dict[str, float]) -> None:
    """Print the medians, and our ratio to each of the others beside the one to reach."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"\n{title}\n{'way':24} {'median s':>9} {'least':>7} {'most':>7} {'ours ÷ it':>10} {'to reach':>9}")
    for name, median in medians.items():
        ratio = f"{medians[ours] / median:.2f}" if name != ours else ""
        reach = f"{limits[name]:.2f}" if name in limits else ""
        print(f"{name:24} {median:9.3f} {min(seconds[name]):7.3f} {max(seconds[name]):7.3f} {ratio:>10} {reach:>9}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--host", default="owlivion-12", help="host of tests/hosts")
    parser.add_argument(
        "--names", type=int, default=10, help="under how many names it is looked at in the second table"
    )
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    for names, rounds, limits in (
        (1, given.rounds, {"12 stock tasks": 0.15, "by hand": 2.2, "empty play": 1.5}),
        (given.names, max(1, given.rounds // 2), {"12 stock tasks": 0.07, "by hand": 1.0, "ping play": 1.3}),
    ):
        with tempfile.TemporaryDirectory(prefix="rb-bench-") as name:
            folder = Path(name)
            bench = Bench(given.host, names, folder)
            show(
                f"{names} host{'s' if names > 1 else ''}, {rounds} rounds, warm connections",
                measure(
                    {
                        "by hand": bench.by_hand,
                        "12 stock tasks": lambda bench=bench, folder=folder: bench.play(folder / "stock.yml"),
                        "health_check": lambda bench=bench: bench.play(ROOT / "playbooks" / "health_check.yml"),
                        "ping play": lambda bench=bench, folder=folder: bench.play(folder / "ping.yml"),
                        "empty play": lambda bench=bench, folder=folder: bench.play(folder / "empty.yml"),
                    },
                    rounds,
                ),
                "health_check",
                limits,
            )
            if names == 1:
                remote = f"/tmp/{folder.name}"
                ship_engine(bench, remote)
                ask = f"cd {remote} && sudo PYTHONPATH={remote} python3 -m {ENGINE} < question.json >/dev/null"
                ways = {"by hand": bench.by_hand, "the engine alone": lambda bench=bench, ask=ask: bench.ssh(0, ask)}
                show("on the host, without Ansible", measure(ways, given.rounds), "the engine alone", {"by hand": 0.35})
                bench.ssh(0, f"sudo rm -rf {remote}")
            for index in range(len(bench.names)):
                bench_close(bench, index)


def bench_close(bench: Bench, index: int) -> None:
    """End the connections that were kept open."""
    for kind in ("hand", "ssh"):
        path = f"{bench.folder}/{index}.{kind}"
        subprocess.run(["ssh", "-o", f"ControlPath={path}", "-O", "exit", "x"], capture_output=True, check=False)


if __name__ == "__main__":
    main()
