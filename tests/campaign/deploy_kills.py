# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills deploys and rollbacks on a real host while users ask, and looks at what serves, and at what the next run makes of what is left.

Run it by hand, with Ansible on the path: ``python3 tests/campaign/deploy_kills.py [--host demo-owlivion] [--rounds 60] [--seed 1]``. The
application, its users and its host are those of tests/benchmark/deploy.py.

A run is killed at each named point, at which the module on the host is stopped until that is done, and at random moments; in four ways, in turn:

``group``    the controller's process group. The module on the host goes on, and the next run begins at once
``tree``     the controller with all that it started, and the module with all that it started
``module``   the module alone. The controller goes on
``session``  the connection: sshd of the session. Module and controller go on

With ``--calls`` the same without controllers: see deploy_calls.py. That takes a fraction of the time.

The next run is the same deploy once more, one of another version, a rollback, or the maintenance of the week. Ends with 1 where a promise was
broken: what is looked at stands in :func:`violations`; and where a named point was never reached, so that nothing was killed at it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "benchmark")]
from deploy import FRONT, HOSTS, ROOT, Bench  # noqa: E402  # found only now

WAYS = ("group", "tree", "module", "session")
NEXT = ("same", "other", "rollback", "maintenance")
PHASES = ("prepared", "started", "gated", "switching", "switched", "watched", "good", "ended")
JOURNAL = [f"deploy:{before}{phase}" for phase in PHASES for before in ("before-", "")]
LIVE = [f"live:{moment}" for moment in ("written", "linked", "proven", "survives", "settled")]
RELEASE = [f"release:{moment}" for moment in ("noted", "begun", "mirror", "filled", "built", "variables", "saved")]
PRUNE = ["release:pruning", "release:unlisted"]
BACK = ["deploy:before-returning", "deploy:returning", "deploy:before-ended"]
SOMETIMES = ("release:mirror",)  # not where an earlier round has fetched all versions
# What is killed, and where: a good deploy, a rollback to what stands, and a deploy of a version that is sent back.
POINTS = (
    *(("deploy", point) for point in (*RELEASE, *JOURNAL, *LIVE, *PRUNE)),
    *(("rollback", point) for point in (*JOURNAL[:2], *JOURNAL[4:], *LIVE)),
    *(("bad", point) for point in BACK),
)
CALLED = ("module", "tree", "orphan", "hung")  # of deploy_calls.py
MOMENTS = (
    ("deploy", "release", 2.0),
    ("deploy", "deployment staged", 4.0),
    ("deploy", "deployment promoted", 5.0),
    ("rollback", "deployment rolled_back", 3.0),
    ("bad", "deployment promoted", 6.0),
)
BAD = "fails-half-of-the-time"
BAD_ANSWER = "wrong: 500"
SHORT = {"stable": "1s", "drain": "3s", "keep": 3, "start_timeout": "120s"}
MARK = "RUNBOOK_OPS_STOP_AT"
# What `pm2 startup` writes.
AT_BOOT = """
cat >/etc/systemd/system/pm2-bench.service <<'END'
[Unit]
After=network.target
[Service]
Type=forking
User=bench
Environment=PM2_HOME=/home/bench/.pm2
PIDFile=/home/bench/.pm2/pm2.pid
Restart=on-failure
ExecStart=/usr/local/bin/pm2 resurrect
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable -q pm2-bench.service
"""

# On the host: finds what Ansible runs there, kills it, and tells all that a deploy leaves.
PROGRAM = r'''
import json, os, pathlib, signal, subprocess, sys, time, urllib.request

STATE, MARK = pathlib.Path("/var/lib/runbook-ops"), b"RUNBOOK_OPS_STOP_AT="

def processes():
    found = {}
    for place in pathlib.Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                name, _bracket, rest = place.joinpath("stat").read_text(errors="replace").partition("(")[2].rpartition(")")
                found[int(place.name)] = (name, rest.split()[0], int(rest.split()[1]))
            except OSError:
                pass
    return found

def modules(seen):
    """Those of Python that carry the mark; what they have started has another name, or is not ours to kill."""
    found = []
    for pid, (name, state, _parent) in seen.items():
        if name.startswith("python"):
            try:
                if MARK in pathlib.Path(f"/proc/{pid}/environ").read_bytes():
                    found.append((pid, state))
            except OSError:
                pass
    return found

def below(seen, pid):
    return [pid] + [one for child, (_n, _s, parent) in seen.items() if parent == pid for one in below(seen, child)]

def sessions(seen, pid):
    """The processes of sshd above one."""
    found = []
    while pid > 1 and pid in seen:
        if seen[pid][0].startswith("sshd"):
            found.append(pid)
        pid = seen[pid][2]
    return found[:2]  # above them is the server

def send(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

def catch():
    """Say whether a module stands stopped."""
    return [pid for pid, state in modules(processes()) if state == "T"]

def kill(way):
    seen = processes()
    pids = [pid for pid, _state in modules(seen)]
    above = sorted({one for pid in pids for one in sessions(seen, pid)})
    if way == "module":
        send(pids, signal.SIGKILL)
    elif way == "tree":
        send([one for session in above[-1:] for one in below(seen, session)] or pids, signal.SIGKILL)
        send(pids, signal.SIGKILL)
    elif way == "session":
        send(above, signal.SIGKILL)
    if way in ("group", "session"):
        send([pid for pid, state in modules(processes()) if state == "T"], signal.SIGCONT)
    return len(pids)

def read(path):
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None

def look():
    deploy = STATE / "deploy/shop"
    listed = json.loads(subprocess.run(["runuser", "-u", "bench", "--", "pm2", "jlist"], capture_output=True, text=True).stdout)
    dump = read(pathlib.Path("/home/bench/.pm2/dump.pm2")) or []
    link = pathlib.Path("/run/runbook-ops/deploy/shop/live.sock")
    name = lambda app: app.get("name")
    return {
        "journal": read(deploy / "journal.json"),
        "owner": (read(STATE / "change/lock.json") or {}).get("owner"),
        "live": read(deploy / "live.json"),
        "link": os.readlink(link) if link.is_symlink() else None,
        "apps": [{"name": name(app), "status": app["pm2_env"]["status"], "cwd": app["pm2_env"]["pm_cwd"], "pid": app["pid"],
                  "release": app["pm2_env"].get("RUNBOOK_OPS_RELEASE"), "restarts": app["pm2_env"]["restart_time"]} for app in listed],
        "dump": sorted((app["name"], app["pm_cwd"]) for app in dump),
        "ledger": [json.loads(line) for line in (deploy / "ledger.jsonl").read_text().splitlines()] if deploy.exists() else [],
        "whole": sorted(file.stem for file in deploy.glob("releases/*.json")),
        "directories": sorted(one.name for one in pathlib.Path("/home/bench/shop.releases").glob("[0-9]*")),
        "begun": sorted(file.name for file in deploy.rglob("*begun*")),
        "modules": len(modules(processes())),
    }

def ask(times):
    """Say which versions answer now, each with the commit that it says it is."""
    found = set()
    for _time in range(times):
        try:
            found.add(urllib.request.urlopen("http://127.0.0.1:FRONT/api/v1/version", timeout=60).read().decode())
        except OSError as exc:
            found.add(str(exc))
    return sorted(found)

def called(known, made, versions):
    """Do a round without a controller."""
    sys.path[:0] = ["/root/kills", "/root"]
    import deploy_calls
    return deploy_calls.one(known, made, versions, ask, look)

VERBS = {"catch": catch, "kill": kill, "look": look, "ask": ask, "called": called}
told = os.fdopen(os.dup(1), "w")
for line in sys.stdin:
    verb, *arguments = json.loads(line)
    print(json.dumps(VERBS[verb](*arguments)), file=told, flush=True)
'''


class Round(NamedTuple):
    """One run that is killed."""

    run: str  # deploy, rollback or bad
    point: str | None  # None: at a random moment
    delay: float  # at a random moment: the part of the usual time
    way: str
    next: str
    twice: bool  # the next run is made once more
    call: str | None = None  # without a controller: what is at work at a random moment
    then: tuple[str, str] | None = None  # the next run is killed too before it is made, at this point and in this way


class Seen(NamedTuple):
    """What one round came to."""

    hits: int
    old: str
    new: str
    between: list[str]  # what was answered right after the kill
    code: int  # of the next run
    output: str
    after: dict[str, Any]
    again: dict[str, Any] | None  # after a second run, where there was one
    again_code: int
    serves: tuple[str, str]
    users: dict[str, Any]


class Kills(Bench):
    """The host, with runs on it that can be killed."""

    directory: Path
    usual = 15.0  # seconds that a deploy takes
    _known: dict[str, Any] = {}  # noqa: RUF012  # filled once

    def described(self) -> Path:
        nginx, shop = self.services()
        services = [nginx, {**shop, "deploy": {**shop["deploy"], **SHORT}}]
        inventory = self.directory / "shop.yml"
        watched = {"watch": self.options.watch, "rollback_slowdown_percent": 2000}
        known = {"ops_system": {"name": "shop"}, "ops_services": services, "ops_deployment": watched}
        inventory.write_text(json.dumps({"all": {"vars": known}}))
        return inventory

    def started(self, playbook: str, *options: str, stop_at: str = "nowhere") -> subprocess.Popen[str]:
        """Begin a run in a process group of its own. What it starts on the host carries the point at which it stops."""
        places = ["-i", self.overlay, "-i", str(self.described())]
        marked = json.dumps({"ansible_become_flags": f"-H -S -n {MARK}={stop_at}"})
        command = ["ansible-playbook", f"playbooks/{playbook}.yml", *places, "-e", marked, *options]
        self.output = (self.directory / "output").open("w+", encoding="utf-8")
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def ended(self, run: subprocess.Popen[str]) -> tuple[int, str]:
        code = run.wait(timeout=300)
        self.output.seek(0)
        return code, self.output.read()

    @contextmanager
    def observer(self) -> Iterator[None]:
        """Have the program at work on the host: a connection for each question would take longer than what is looked at."""
        self(f"cat >/root/kills.py <<'END'\n{PROGRAM.replace('FRONT', str(FRONT))}\nEND")
        asked = subprocess.run(
            [sys.executable, str(HOSTS), "inventory", self.host], capture_output=True, text=True, check=True
        )
        self.overlay = asked.stdout.strip()
        self.program = subprocess.Popen(
            self._ssh("python3", "/root/kills.py"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            yield
        finally:
            if self.program.poll() is None:
                self.on_host("kill", "tree")  # a run that a fault of ours has left on the host
                self.program.communicate()
        self("rm -f /root/kills.py /root/call.*")

    def on_host(self, *words: object) -> Any:
        assert self.program.stdin is not None
        assert self.program.stdout is not None
        self.program.stdin.write(json.dumps(words) + "\n")
        self.program.stdin.flush()
        return json.loads(self.program.stdout.readline())

    def begin(self, options: str, kinds: Sequence[str]) -> str:
        return super().begin(options, kinds) + AT_BOOT

    def end(self) -> str:
        return (
            "rm -rf /root/kills /etc/systemd/system/pm2-bench.service /etc/systemd/system/*/pm2-bench.service\n"
            + super().end()
        )

    def known(self) -> dict[str, Any]:
        """Return the service as modules are given it, and have what is needed to call them on the host."""
        if not self._known:
            playbook = self.directory / "describe.yml"
            task = {
                "copy": {"content": "{{ system_description | to_json }}", "dest": str(self.directory / "known.json")}
            }
            described = {"hosts": "all", "connection": "local", "gather_facts": False, "become": False}
            described["vars"] = {"ansible_python_interpreter": sys.executable}
            play = {**described, "roles": ["runbook.ops.system"], "post_tasks": [task]}
            playbook.write_text(json.dumps([play]))
            command = ["ansible-playbook", "-i", "here,", "-i", str(self.described()), str(playbook)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stdout + done.stderr)
            found = json.loads((self.directory / "known.json").read_text(encoding="utf-8"))
            self._known = {"service": found["services"][1], "deployment": found["deployment"]}
            self.copy()
        return self._known

    def copy(self) -> None:
        """Copy the collection's plugins, and what they need of Ansible, to the host."""
        import ansible  # noqa: PLC0415  # not needed without --calls

        base = Path(ansible.__file__).parents[1]
        names = [
            str(path.relative_to(base))
            for path in (
                base / "ansible/__init__.py",
                base / "ansible/release.py",
                base / "ansible/_vendor",
                base / "ansible/module_utils",
            )
        ]
        ours = "collections/ansible_collections/runbook/ops/plugins"
        pack = ["tar", "-ch", "--exclude=__pycache__", "-C", str(base), *names, "-C", str(ROOT / "collections")]
        parts = [f"{ours.partition('/')[2]}/{part}" for part in ("modules", "module_utils")]
        packed = subprocess.run(
            [*pack, *parts, "-C", str(TESTS / "campaign"), "deploy_calls.py"], capture_output=True, check=True
        )
        unpack = self._ssh("sh", "-c", "'rm -rf /root/kills && mkdir /root/kills && tar -x -C /root/kills'")
        subprocess.run(unpack, input=packed.stdout, check=True)

    def next_run(self, wanted: str, version: str, other: str) -> tuple[int, str]:
        options = {"same": version, "other": other}
        if wanted in options:
            chosen = ["-e", f"deploy_version={options[wanted]}", "-e", "deploy_service=shop"]
            return self.ended(self.started("deploy", *chosen))
        return self.ended(self.started({"rollback": "rollback", "maintenance": self.options.maintenance}[wanted]))


def descendants(pid: int) -> list[int]:
    """Return a process of this machine and all that it has started."""
    asked = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    children: dict[int, list[int]] = {}
    for line in asked.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def kill(bench: Kills, run: subprocess.Popen[str], way: str) -> None:
    """Kill what is to be killed; whoever is stopped on the host and survives it goes on."""
    if way == "group":
        os.killpg(run.pid, signal.SIGKILL)
    elif way == "tree":
        for pid in descendants(run.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    bench.on_host("kill", way)
    run.wait(timeout=300)


def cut_off(bench: Kills, made: Round, version: str | None) -> bool:
    """Begin a deploy of ``version``, or a rollback, and kill it; return whether it was hit before it ended."""
    chosen = ["-e", f"deploy_version={version}", "-e", "deploy_service=shop"] if version else []
    playbook = "deploy" if version else "rollback"
    if made.point is None:
        run = bench.started(playbook, *chosen)
        try:
            run.wait(timeout=made.delay * bench.usual)
            return False
        except subprocess.TimeoutExpired:
            kill(bench, run, made.way)
            return True
    run = bench.started(playbook, *chosen, stop_at=made.point)
    while run.poll() is None:
        if bench.on_host("catch"):
            kill(bench, run, made.way)
            return True
        time.sleep(0.1)
    return False


def rebooted(bench: Kills, versions: tuple[str, str], commits: dict[str, str]) -> list[str]:
    """Boot the host in the midst of the watch, and return what is not as it was promised."""
    made = Round("deploy", "deploy:switched", 0, "hung", "reboot", twice=False)
    users = {"failed": 0, "why": ""}
    with bench.observer():
        cut = bench.on_host("called", bench.known(), {**made._asdict(), "delay": None}, versions)
    subprocess.run(["podman", "restart", "--time", "20", f"runbook-ops-{bench.host}"], check=True, capture_output=True)
    for _try in range(120):
        asked = bench(f"curl -sf -m 5 http://127.0.0.1:{FRONT}/api/v1/version; true", check=False)
        if asked:
            break
        time.sleep(1)
    with bench.observer():
        booted = bench.on_host("ask", 5)
        following = Round("maintenance", "nowhere", 0, "tree", "maintenance", twice=True)
        got = bench.on_host("called", bench.known(), {**following._asdict(), "delay": None}, ("", ""))
    print(f"boot in the midst of the watch: {cut['between']} > {booted} > {got['says']}", flush=True)
    live = str(live_of(got["after"]).get("release"))
    number = next((number for number, one in commits.items() if live.endswith(one[:12])), "?")
    serves = (json.loads(got["says"][0])["version"], number)
    told = Seen(cut["hits"], "", versions[0], booted, len(got["output"]), " / ".join(got["output"]), got["after"], got["again"], 0, serves, users)  # fmt: skip
    return violations(following, told, commits)


def version_of(answers: Sequence[str]) -> str:
    """Return the version of the first answer; what came instead, where there was none."""
    try:
        return str(json.loads(answers[0])["version"])
    except (ValueError, LookupError):
        return answers[0] if answers else "nothing"


def live_of(seen: dict[str, Any]) -> dict[str, Any]:
    return (seen["live"] or {}).get("now") or {}


def violations(made: Round, seen: Seen, commits: dict[str, str]) -> list[str]:
    """Return what is not as it was promised. A bad version that is gone back from answers wrongly while it is watched."""
    after, live, users = seen.after, live_of(seen.after), seen.users
    whole = {json.dumps({"version": one, "commit": commit}, separators=(",", ":")) for one, commit in commits.items()}
    refused = made.run == "bad" and made.next == "same"  # it is bad the second time as well
    deployed = made.next in ("same", "other")
    partial = {*after["directories"]} - {*after["whole"]} | {*after["begun"]}
    cut = [
        why for why in users["why"] if not why.startswith(BAD_ANSWER)
    ]  # a bad version answers wrongly, but it answers
    again = seen.again and (live_of(seen.again), seen.again["apps"]) != (live, after["apps"])
    promises = (
        (cut if made.run == "bad" else users["failed"], f"{users['failed']} requests failed: {users['why']}"),
        (
            # A bad one answers wrongly, now and then, until the next run goes back.
            made.run != "bad" and (len(seen.between) != (2 if made.then else 1) or {*seen.between} - whole),
            f"after the kill answered {seen.between}",
        ),
        (seen.code and not refused, f"the next run ({made.next}) failed: {last_words(seen.output)}"),
        (after["journal"], f"the journal is left: {after['journal']}"),
        (after["owner"], f"the lock is stuck: {after['owner']}"),
        ((after["live"] or {}).get("next"), "the switch is not settled"),
        (after["link"] != f"{live.get('slot')}.sock", f"the link leads to {after['link']}, live is {live.get('slot')}"),
        (live.get("release") not in after["whole"], f"live is {live.get('release')}, which is no whole release"),
        (deployed and partial, f"partial releases are left: {partial}"),
        (after["modules"], f"{after['modules']} modules still run"),
        (seen.serves[0] != seen.serves[1], f"{seen.serves[0]} serves instead of {seen.serves[1]}"),
        (seen.again_code, "a second run failed"),
        (again, "a second run changed something"),
    )
    return [*(words for broken, words in promises if broken), *wrong_slots(after, live)]


def missed(rounds: Sequence[tuple[Round, int]]) -> list[str]:
    """Return the points at which nothing was ever killed, of rounds and how often each was hit. Nothing is known of those."""
    hit = {made.point for made, hits in rounds if hits}
    return sorted({made.point for made, _hits in rounds if made.point} - hit - {*SOMETIMES})


def wrong_slots(after: dict[str, Any], live: dict[str, Any]) -> list[str]:
    """Return what is wrong with what runs: the live slot runs the live release, the other one nothing, or what served before."""
    wrong = []
    good = {event["release"] for event in after["ledger"] if event["event"] == "good"}
    fate = {event["release"]: event["event"] for event in after["ledger"]}
    for app in after["apps"]:
        release = app["release"] or next((name for name in after["whole"] if name.startswith("adopted")), None)
        if app["status"] != "online" or app["restarts"]:
            wrong.append(f"{app['name']} is {app['status']} after {app['restarts']} restarts")
        if app["name"] == live.get("label") and release != live.get("release"):
            wrong.append(f"{app['name']} is live with {release} instead of {live.get('release')}")
        if app["name"] != live.get("label") and (
            release not in good or fate.get(str(release)) in ("bad", "retired", "rolled_back")
        ):
            wrong.append(f"{app['name']} is left with {release} ({fate.get(str(release))})")
    if live.get("label") not in [app["name"] for app in after["apps"]]:
        wrong.append("nothing runs in the live slot")
    if after["dump"] != sorted([app["name"], app["cwd"]] for app in after["apps"]):
        wrong.append(f"PM2 would bring back {after['dump']}")
    return wrong


def last_words(output: str) -> str:
    """Return why a run failed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    place = next((place for place, line in enumerate(lines) if "✗" in line or "ERROR" in line), -3)
    return " / ".join(lines[place:][:4])[:800]


def one(bench: Kills, made: Round, versions: tuple[str, str], commits: dict[str, str]) -> Seen:
    """Kill a run, have the next one at work, and look."""
    version, other = versions
    got: dict[str, Any] = {}

    def work() -> None:
        got["old"] = json.loads(bench.on_host("ask", 1)[0])["version"]
        got["hits"] = int(cut_off(bench, made, None if made.run == "rollback" else version))
        got["between"] = bench.on_host("ask", 5)
        if made.then:
            again = made._replace(point=made.then[0], way=made.then[1])
            got["hits"] += cut_off(bench, again, {"same": version, "other": other}.get(made.next))
            got["between"] = [*got["between"], *bench.on_host("ask", 5)]
        got["code"], got["output"] = bench.next_run(made.next, version, other)
        got["after"] = settled(bench)
        got["says"] = json.loads(bench.on_host("ask", 1)[0])

    users = bench.asked(work)
    live = live_of(got["after"])["release"]
    commit = next((one for one in commits.values() if str(live).endswith(one[:12])), None)
    wanted = next((number for number, one in commits.items() if one == commit), "1.0.0")
    if made.next in ("same", "other") and made.run != "bad":
        wanted = version if made.next == "same" else other
    again, again_code = None, 0
    if made.twice and not (made.run == "bad" and made.next == "same"):
        # A second rollback would go further: the second run is a deploy of what serves.
        following = ("same", wanted, "") if made.next == "rollback" else (made.next, version, other)
        again_code, _output = bench.next_run(*following)
        again = settled(bench)
    serves = (got["says"]["version"], wanted)
    return Seen(
        got["hits"], got["old"], version, got["between"], got["code"], got["output"], got["after"], again, again_code, serves, users
    )  # fmt: skip


def one_called(bench: Kills, made: Round, versions: tuple[str, str], commits: dict[str, str]) -> Seen:
    """The same without a controller: only what it calls on the host."""
    version, other = versions
    got: dict[str, Any] = {}
    wanted = {**made._asdict(), "delay": None if made.point else made.delay}
    users = bench.asked(lambda: got.update(bench.on_host("called", bench.known(), wanted, versions)))
    live = str(live_of(got["after"]).get("release"))
    number = next((number for number, one in commits.items() if live.endswith(one[:12])), "1.0.0")
    if made.next in ("same", "other") and made.run != "bad":
        number = version if made.next == "same" else other
    failed = [*got["output"], *([] if got["ended"] else ["who was taken over still works"])]
    serves = (json.loads(got["says"][0])["version"], number)
    old = json.loads(got["old"][0])["version"]
    told = " / ".join([*failed, *(f"[{line}]" for line in got["first"])])
    return Seen(
        got["hits"], old, version, got["between"], len(failed), told, got["after"], got["again"], 0, serves, users
    )  # fmt: skip


def settled(bench: Kills) -> dict[str, Any]:
    """Return how all is, once an orphan that was refused has ended."""
    for _try in range(50):
        seen: dict[str, Any] = bench.on_host("look")
        if not seen["modules"]:
            break
        time.sleep(0.3)
    return seen


def drawn_calls(chance: random.Random, rounds: int) -> list[Round]:
    """The same for rounds without a controller."""
    points: list[tuple[str, str | None]] = [*POINTS]
    chance.shuffle(points)
    made = [Round(run, point, 0.0, "", "", twice=False) for run, point in points]
    for _more in range(rounds - len(points)):
        run, call, reach = chance.choice(MOMENTS)
        made.append(Round(run, None, chance.uniform(0.05, reach), "", "", twice=False, call=call))
    return [
        one._replace(way=CALLED[number % 4], next=NEXT[(number // 4 + number) % 4], twice=number % 3 == 0)
        for number, one in enumerate(made[:rounds])
    ]


def drawn(chance: random.Random, rounds: int) -> list[Round]:
    """Return so many rounds: each point once, as far as they suffice, then random moments, in the ways and next runs in turn."""
    points: list[tuple[str, str | None]] = [*POINTS]
    chance.shuffle(points)
    points += [(chance.choice(("deploy", "deploy", "rollback", "bad")), None) for _more in range(rounds - len(points))]
    made = []
    for number, (run, point) in enumerate(points[:rounds]):
        reach = {"deploy": 1.0, "rollback": 0.6, "bad": 1.1}[run]
        following = NEXT[(number // len(WAYS) + number) % len(NEXT)]
        then = None
        if number % 2 and following in ("same", "other", "rollback"):
            then = chance.choice((*JOURNAL, *LIVE)), chance.choice(WAYS)
        made.append(
            Round(run, point, chance.uniform(0.15, reach), WAYS[number % len(WAYS)], following, number % 3 == 0, then)
        )
    return made


def deployed(bench: Kills) -> None:
    """Deploy twice: nginx is taken over once, and there is a way back."""
    for number in ("1.1.0", "1.2.0"):
        if bench.options.calls:
            first = Round("maintenance", "nowhere", 0, "tree", "same", twice=False)
            got = bench.on_host("called", bench.known(), first._asdict(), (number, ""))
            print(number, got["output"], got["first"], flush=True)
            continue
        began = time.monotonic()
        code, output = bench.next_run("same", number, "")
        if code:
            raise SystemExit(f"cannot deploy {number}: {last_words(output)}")
        bench.usual = time.monotonic() - began


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="demo-owlivion")
    parser.add_argument("--rounds", type=int, default=len(POINTS) + 12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="rounds whose run, point, way and next hold this text")
    parser.add_argument("--skip", type=int, default=0, help="rounds that were done already")
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--watch", default="2s")
    parser.add_argument("--maintenance", default="weekly_maintenance", help="the playbook that maintains")
    parser.add_argument("--calls", action="store_true", help="without controllers: see deploy_calls.py")
    parser.add_argument(
        "--reboot",
        action="store_true",
        help="with --calls: boot the host in the midst of a watch, instead of all kills",
    )
    parser.set_defaults(slow=0, websockets=0)
    options = parser.parse_args(argv)
    bench, chance = Kills(options.host, options), random.Random(options.seed)
    rounds = (drawn_calls if options.calls else drawn)(chance, options.rounds)[options.skip :]
    rounds = [made for made in rounds if not options.only or options.only in " ".join(map(str, made))]
    kinds = ["good"] * 3 + [kind for made in rounds for kind in (BAD if made.run == "bad" else "good", "good")]
    told: Counter[str] = Counter()
    killed: list[tuple[Round, int]] = []
    with tempfile.TemporaryDirectory() as directory, bench.application("", kinds), bench.observer():
        bench.directory = Path(directory)
        refs = bench(
            "runuser -u bench -- git -C /home/bench/versions.git for-each-ref --format='%(refname:short) %(objectname)' refs/tags"
        )
        commits = dict(line.split() for line in refs.splitlines())
        deployed(bench)
        if options.reboot:
            bench.program.communicate()
            wrong = rebooted(bench, ("1.3.0", "1.4.0"), commits)
            print("; ".join(wrong) or "0 violations")
            return 1 if wrong else 0
        for place, made in enumerate(rounds):
            version, other = f"1.{3 + 2 * place}.0", f"1.{4 + 2 * place}.0"
            began = time.monotonic()
            seen = (one_called if options.calls else one)(bench, made, (version, other), commits)
            wrong = violations(made, seen, commits)
            told["runs"] += 1
            killed.append((made, seen.hits))
            told["kills"] += seen.hits
            told["at points"] += seen.hits if made.point else max(0, seen.hits - 1)
            told["violations"] += bool(wrong)
            for key in ("requests", "failed", "closed_idle"):
                told[key] += seen.users[key]
            at = made.point or f"at {made.delay:.2f}"
            at += f" + {' '.join(made.then)}" if made.then else ""
            print(
                f"{options.skip + place:3d} {made.run:<8} {at:<46} {made.way:<8} {made.next:<12} {seen.hits} hit  "
                f"{seen.old} > {version_of(seen.between)} > {seen.serves[0]}  "
                f"{time.monotonic() - began:5.1f} s  {seen.users['requests']} requests, {seen.users['failed']} failed"
                f"{'  VIOLATED: ' + '; '.join(wrong) if wrong else ''}",
                flush=True,
            )
            if wrong:
                kept = Path(tempfile.gettempdir(), f"deploy_kills_{options.skip + place}.json")
                kept.write_text(json.dumps({"round": made, "seen": seen._asdict()}, indent=1))
    print(
        ", ".join(
            f"{key}: {told[key]}"
            for key in ("runs", "kills", "at points", "requests", "failed", "closed_idle", "violations")
        )
    )
    if missed(killed):
        print(f"never reached: {', '.join(missed(killed))}")
    return 1 if told["violations"] or missed(killed) or not told["kills"] else 0


if __name__ == "__main__":
    sys.exit(main())
