# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a system's checklist takes, beside the same by hand, beside stock tasks, and beside a play that does nothing.

Run it by hand: ``python3 tests/benchmark/checklist.py [--systems owlivion plugspace] [--hosts 1 5 10] [--rounds 5]``. The
hosts must be up (``python3 tests/hosts/hosts.py up``). Each system is looked at by itself; then several hosts at once: the
systems' hosts, and where that is not enough, each of them again under another name with a connection of its own.
By hand, a checklist is one script; as stock tasks it is one task for each of its commands. Everything takes turns.
Nothing is judged; quote ratios, not seconds.
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
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
INVENTORIES = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "runbook-ops" / "inventory"
ANSIBLE = Path(sys.executable).parent / "ansible-playbook"
ENGINE = "ansible_collections.runbook.ops.plugins.module_utils._health"

# The commands of each system's runbook, made to work without a terminal, as root, with the cheapest way to read a date.
CHECKLISTS = {
    "owlivion": """
sudo -iu owlivion pm2 jlist
systemctl is-active 'postgresql@*.service' nginx
curl -fsS --max-time 5 https://owlivion.com/api/v1/health
curl -fsS --max-time 5 http://127.0.0.1:3000/api/v1/health
df -h; df -i; free -h; uptime
sudo -u postgres psql -XAtc 'SELECT count(*) FROM pg_stat_activity' owlivion_sync
tail -qn 100 /home/owlivion/.pm2/logs/*.log | grep -ci 'error\\|warning'
openssl x509 -noout -enddate -in /etc/letsencrypt/live/owlivion.com/fullchain.pem
ls -lt /backups/daily /backups/weekly | head -5
grep -c 'backup completed' /var/log/owlivion-backup.log
""",
    "newsletter": """
docker compose -f /home/deploy/newsletter/docker-compose.yml ps
curl -fsS --max-time 5 http://localhost:3000/api/health
docker compose -f /home/deploy/newsletter/docker-compose.yml exec -T postgres pg_isready
docker compose -f /home/deploy/newsletter/docker-compose.yml exec -T postgres psql -U newsletter -Atc 'SELECT count(*) FROM pg_stat_activity'
docker compose -f /home/deploy/newsletter/docker-compose.yml exec -T redis redis-cli info memory
docker compose -f /home/deploy/newsletter/docker-compose.yml exec -T redis redis-cli llen bull:campaign-emails:wait
docker compose -f /home/deploy/newsletter/docker-compose.yml logs --tail=100 newsletter-app | grep -ci error
docker system df
df -h; df -i; free -h; uptime
tail -n 100 /home/deploy/newsletter/logs/app.log | grep -c ERROR
ls -lt /home/deploy/newsletter/backups | head -5
""",
    "plugspace": """
sudo -iu plugspace pm2 jlist
systemctl is-active mongod redis-server nginx prometheus prometheus-alertmanager fail2ban
curl -fsS --max-time 5 http://localhost:4000/api/health
curl -fsS --max-time 5 http://localhost:4001/health
curl -fsS --max-time 5 https://plugspace.io/api/health
df -h; df -i; free -h; uptime
redis-cli ping
curl -fsS --max-time 5 http://localhost:9090/api/v1/targets | jq .status
curl -fsS --max-time 5 http://localhost:9093/api/v2/alerts | jq length
openssl x509 -noout -enddate -in /etc/letsencrypt/live/plugspace.io/fullchain.pem
tail -qn 100 /var/log/plugspace/api.log /var/log/plugspace/voice.log /var/log/mongodb/mongod.log | grep -c ERROR
ss -tlnp
ls -lt /home/plugspace/backups | head -5
""",
    "mediasearch": """
systemctl status nginx
docker ps --format 'table {{.Names}} {{.Status}} {{.Ports}}'
df -h; df -i; free -h; uptime
docker exec postgres psql -U postgres -Atc 'SELECT count(*) FROM pg_stat_activity'
docker exec redis redis-cli info stats
curl -s --max-time 5 http://localhost:3000/api/admin/queues/stats
curl -fsS --max-time 5 https://yourdomain.com/api/health
grep -c ERROR /srv/ai-media-search/logs/api-$(date +%Y-%m-%d).log
openssl s_client -connect yourdomain.com:443 </dev/null | openssl x509 -noout -enddate
ls -lt /backups | head -5
""",
    "lifeplatform": """
docker compose -f /srv/lifeplatform/docker-compose.prod.yml ps
curl -fsS --max-time 5 https://your-domain.com/health
docker compose -f /srv/lifeplatform/docker-compose.prod.yml exec -T database psql -U postgres -Atc 'SELECT count(*) FROM pg_stat_activity'
docker compose -f /srv/lifeplatform/docker-compose.prod.yml exec -T redis redis-cli ping
docker compose -f /srv/lifeplatform/docker-compose.prod.yml logs --tail=100 app | grep -ci error
df -h; df -i; free -h; uptime
ps aux | grep node
tail -n 100 /var/log/nginx/error.log | grep -ci error
openssl s_client -connect your-domain.com:443 </dev/null | openssl x509 -noout -enddate
ls -lt /backups | head -5
""",
}
HEAD = {"hosts": "all", "gather_facts": False, "become": True}
PLAYS: dict[str, list[dict[str, Any]]] = {
    "empty": [],
    "ping": [{"ansible.builtin.ping": {}}],
    # What the engine is asked on its own: the same as the playbook asks.
    "plan": [
        {"ansible.builtin.import_role": {"name": "runbook.ops.system"}},
        {
            "delegate_to": "localhost",
            "become": False,
            "ansible.builtin.copy": {
                "content": "{{ {'probes': system_description | runbook.ops.health_probes([]),"
                " 'secrets': system_description | runbook.ops.health_secrets} | to_json }}",
                "dest": "{{ playbook_dir }}/{{ inventory_hostname }}.json",
                "mode": "0600",
            },
        },
    ],
}
# The twelve that somebody would write who knows Ansible; for the other systems their commands, each as a task.
OWLIVION = yaml.safe_load("""
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
- ansible.builtin.command: openssl x509 -noout -enddate -in /etc/letsencrypt/live/owlivion.com/fullchain.pem
- ansible.builtin.find: {paths: [/backups/daily, /backups/weekly], patterns: 'backup_*'}
- ansible.builtin.command: grep -c 'backup completed' /var/log/owlivion-backup.log
""")


class Raw(str):
    """A text that Ansible is to leave as it is."""

    __slots__ = ()


class WithRaw(yaml.SafeDumper):
    """Writes such texts with Ansible's tag for them."""


WithRaw.add_representer(Raw, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text)))


class Name(NamedTuple):
    """A name in the inventory: a host, or one more name of it."""

    name: str
    system: str
    variables: Mapping[str, Any]


def commands(system: str) -> list[str]:
    """Return the commands of a checklist."""
    return CHECKLISTS[system].strip().splitlines()


def stock_tasks(systems: Sequence[str]) -> list[dict[str, Any]]:
    """Return the checklists of ``systems`` as tasks, none of which fails for what it finds.

    Each task is on each host a command of that host's own checklist, so that all hosts have something to do at once.
    """
    if set(systems) == {"owlivion"}:
        return [{**task, "failed_when": False} for task in OWLIVION]
    lists = "{{ checklists[inventory_hostname.rpartition('-')[0]] }}"
    return [
        {
            "ansible.builtin.shell": {"cmd": f"{{{{ checklist[{index}] }}}}"},
            "vars": {"checklist": lists},
            "when": f"{index} < checklist | length",
            "failed_when": False,
        }
        for index in range(max(len(commands(system)) for system in systems))
    ]


def group_of(groups: Mapping[str, Any], host: str) -> str:
    """Return the group of an inventory that lists ``host``."""
    for name, group in groups.items():
        if host in (group.get("hosts") or {}):
            return name
        if group.get("children"):
            found = group_of(group["children"], host)
            if found:
                return found
    return ""


def hosts_of(system: str) -> Mapping[str, Any]:
    """Return the variables with which the host of ``system`` is reached."""
    source = INVENTORIES / ("owlivion-12.yml" if system == "owlivion" else f"{system}.yml")
    if not source.exists():
        sys.exit(f"the host of {system} is not up: run python3 tests/hosts/hosts.py up {source.stem}")
    return next(iter(yaml.safe_load(source.read_text(encoding="utf-8"))["all"]["hosts"].values()))


class Bench:
    """The hosts, under one name or several, and the ways to look at them."""

    def __init__(self, systems: Sequence[str], names: int, folder: Path) -> None:
        self.folder = folder
        turns = [(systems[number % len(systems)], number // len(systems) + 1) for number in range(names)]
        self.names = [Name(f"{system}-{turn}", system, hosts_of(system)) for system, turn in turns]
        groups: dict[str, dict[str, Any]] = {}
        for index, one in enumerate(self.names):
            described = yaml.safe_load((ROOT / "inventories" / one.system / "hosts.yml").read_text(encoding="utf-8"))
            hosts = groups.setdefault(group_of(described, f"{one.system}-1"), {"hosts": {}})["hosts"]
            hosts[one.name] = {**one.variables, "ansible_control_path": str(folder / f"{index}.ssh")}
        inventory = folder / "inventory.yml"
        inventory.write_text(yaml.safe_dump(groups), encoding="utf-8")
        self.inventories = [part for system in systems for part in ("-i", str(ROOT / "inventories" / system))]
        self.inventories += ["-i", str(inventory), "--limit", ",".join(one.name for one in self.names)]
        for name, tasks in {**PLAYS, "stock": stock_tasks([one.system for one in self.names])}.items():
            (folder / f"{name}.yml").write_text(yaml.safe_dump([{**HEAD, "tasks": tasks}]), encoding="utf-8")
        # Written with a tag: docker's own {{…}} is no template.
        lists = {system: [Raw(one) for one in commands(system)] for system in systems}
        written = yaml.dump({"checklists": lists}, Dumper=WithRaw)
        (folder / "group_vars").mkdir()
        (folder / "group_vars" / "all.yml").write_text(written, encoding="utf-8")

    def play(self, path: Path) -> None:
        environment = {**os.environ, "ANSIBLE_FORKS": "20", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        # A busy machine may well have something critical to tell: that is not what is measured.
        argv = [str(ANSIBLE), *self.inventories, str(path), "-e", "health_fail_on=never"]
        done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{path.name} failed:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")

    def own(self, name: str) -> Callable[[], None]:
        return lambda: self.play(self.folder / f"{name}.yml")

    def ssh(self, index: int, command: str, stdin: bytes = b"") -> bytes:
        variables = self.names[index].variables
        control = ["ControlMaster=auto", "ControlPersist=60s", f"ControlPath={self.folder}/{index}.hand"]
        argv = ["ssh", *(part for option in control for part in ("-o", option))]
        argv += ["-i", variables["ansible_ssh_private_key_file"], "-p", str(variables["ansible_port"])]
        argv += variables["ansible_ssh_common_args"].split()
        argv += [f"{variables['ansible_user']}@{variables['ansible_host']}", command]
        return subprocess.run(argv, input=stdin, capture_output=True, check=True).stdout

    def by_hand(self) -> None:
        def look(index: int) -> None:
            # None may read what is left of the script.
            script = "".join(
                f"({command}) </dev/null >/dev/null 2>&1\n" for command in commands(self.names[index].system)
            )
            self.ssh(index, "sudo bash -s", (script + "exit 0\n").encode())

        with ThreadPoolExecutor(max_workers=20) as pool:
            list(pool.map(look, range(len(self.names))))

    def close(self) -> None:
        """End the connections that were kept open."""
        for path in [*self.folder.glob("*.hand"), *self.folder.glob("*.ssh")]:
            subprocess.run(["ssh", "-o", f"ControlPath={path}", "-O", "exit", "x"], capture_output=True, check=False)


def ship_engine(bench: Bench, folder: str) -> None:
    """Put the engine and its question on the first host, in ``folder``, for root alone."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        inside = "ansible_collections/runbook/ops/plugins/module_utils"
        archive.add(
            ROOT / "plugins" / "module_utils", inside, filter=lambda one: None if "__pycache__" in one.name else one
        )
        bench.play(bench.folder / "plan.yml")
        archive.add(bench.folder / f"{bench.names[0].name}.json", "question.json")
    bench.ssh(0, f"sudo mkdir -m 0700 {folder} && sudo tar -xf - -C {folder}", content.getvalue())


def measure(ways: Mapping[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each way; all of them take turns, after one turn that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if number:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def show(title: str, seconds: Mapping[str, list[float]], ours: str, limits: Mapping[str, float]) -> None:
    """Print the medians, and our ratio to each of the others beside the one to reach."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"\n{title}\n{'way':24} {'median s':>9} {'least':>7} {'most':>7} {'ours ÷ it':>10} {'to reach':>9}")
    for name, median in medians.items():
        # Turn by turn: what else the machine does changes from one turn to the next, and hits both sides of one alike.
        ratios = [mine / its for mine, its in zip(seconds[ours], seconds[name], strict=True)]
        ratio = f"{statistics.median(ratios):.2f}" if name != ours else ""
        reach = f"{limits[name]:.2f}" if name in limits else ""
        print(
            f"{name:24} {median:9.3f} {min(seconds[name]):7.3f} {max(seconds[name]):7.3f} {ratio:>10} {reach:>9}",
            flush=True,
        )


def look(systems: Sequence[str], names: int, rounds: int, limits: Mapping[str, float]) -> None:
    """Measure the ways to look at ``names`` hosts; of a single one, what the engine does there by itself, too."""
    with tempfile.TemporaryDirectory(prefix="rb-bench-") as name:
        bench = Bench(systems, names, Path(name))
        ways = {
            "by hand": bench.by_hand,
            "stock tasks": bench.own("stock"),
            "health_check": lambda: bench.play(ROOT / "playbooks" / "health_check.yml"),
            "ping play": bench.own("ping"),
            "empty play": bench.own("empty"),
        }
        who = systems[0] if names == 1 else f"{names} hosts"
        show(f"{who}, {rounds} rounds, warm connections", measure(ways, rounds), "health_check", limits)
        if names == 1:
            remote = f"/tmp/{bench.folder.name}"
            ship_engine(bench, remote)
            ask = f"sudo sh -c 'cd {remote} && PYTHONPATH={remote} exec python3 -m {ENGINE} < question.json' >/dev/null"
            ways = {"by hand": bench.by_hand, "the engine alone": lambda: bench.ssh(0, ask) and None}
            show(f"{who}, on the host, without Ansible", measure(ways, rounds), "the engine alone", {"by hand": 0.35})
            bench.ssh(0, f"sudo rm -rf {remote}")
        bench.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--systems", nargs="+", choices=list(CHECKLISTS), default=list(CHECKLISTS))
    parser.add_argument("--hosts", nargs="+", type=int, default=[1, 5, 10], help="how many are looked at in one run")
    parser.add_argument("--rounds", type=int, default=5, help="for one host; half of it for several")
    given = parser.parse_args()
    print("load", *(f"{value:.1f}" for value in os.getloadavg()), "on", os.cpu_count(), "cores")
    for names in given.hosts:
        if names == 1:
            for system in given.systems:
                look([system], 1, given.rounds, {"stock tasks": 0.15, "by hand": 2.2, "empty play": 1.5})
        else:
            limits = {"stock tasks": 0.07, "by hand": 1.0, "ping play": 1.3}  # said of twenty hosts
            look(given.systems, names, max(1, given.rounds // 2), limits)


if __name__ == "__main__":
    main()
