# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real hosts in containers: build their images, start them, reach them, throw them away.

Run it as ``python3 tests/hosts/hosts.py --help``. It needs Python 3.11 and a container engine, nothing else.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import images
from engine import Engine, HostsError
from host import HOSTS, Host
from images import Image
from inventory import are_written, overlay, ssh_arguments, write_inventories
from workplace import Workplace, say

REPOSITORY = Path(__file__).resolve().parents[2]
CONTROLLER = Image("controller", "trixie")


def build(names: Sequence[str], engine: Engine, workplace: Workplace) -> None:
    """Build the images of the hosts ``names`` and of the controller, where they do not exist yet."""
    wanted = dict.fromkeys([HOSTS[name].image for name in names] or [*(host.image for host in HOSTS.values())])
    for image in wanted if names else [*wanted, CONTROLLER]:
        say(images.ensure(image, engine, workplace))


def up(names: Sequence[str], engine: Engine, workplace: Workplace, *, fresh: bool) -> None:
    """Bring the hosts ``names`` up, side by side; the ones that run already are left as they are."""
    allow_more_watches()
    lost = remove_lost(engine, workplace)

    def one(name: str) -> str:
        started = time.monotonic()
        done = Host.named(name).up(engine, workplace, fresh=fresh)
        say(f"{name}: {done} after {time.monotonic() - started:.1f} s")
        return done

    with ThreadPoolExecutor(max_workers=2) as pool:
        # A host learns what its peers are like when it is created.
        waves = ([name for name in names if not HOSTS[name].peers], [name for name in names if HOSTS[name].peers])
        done = {one_done for wave in waves for one_done in pool.map(one, wave)}
    if lost or done != {"up already"} or not are_written(names, engine, workplace):
        write_inventories(engine, workplace)


def remove_lost(engine: Engine, workplace: Workplace) -> bool:
    """Throw away the hosts that the machine was switched off under, and return whether there were any.

    Nothing starts them again, and the engine's rules go on sending to them what is meant for whoever listens on their ports now.
    """
    lost = engine.lost()
    for host in [host for host in HOSTS.values() if host.container in lost]:
        with workplace.lock(f"host-{host.name}"):  # somebody else may bring it up just now
            if host.container in engine.lost():
                engine.remove(host.container)
                say(f"{host.name}: its processes are gone, and so is it")
    return bool(lost)


def down(names: Sequence[str], engine: Engine, workplace: Workplace) -> None:
    """Throw the hosts ``names`` away, all of ours where none is named."""
    for name in names or [host.name for host in HOSTS.values() if host.container in engine.containers()]:
        Host.named(name).down(engine, workplace)
        say(f"{name}: gone")
    write_inventories(engine, workplace)


def status(engine: Engine) -> None:
    """Print the images and the hosts that exist."""
    for tag in sorted(engine.images()):
        print(f"image  {tag}")
    for host in HOSTS.values():
        found = engine.inspect(host.container)
        if found:
            print(f"host   {host.name}  {'running' if found['running'] else 'stopped'}  ssh port {found['port']}")


def run_controller(argv: Sequence[str], engine: Engine, workplace: Workplace) -> None:
    """Run a program in the controller image, with the repository (read-only), the key and the inventories at hand."""
    tag = images.ensure(CONTROLLER, engine, workplace)
    mounts = [
        f"--volume={path}:{path}:ro" for path in (REPOSITORY, workplace.ssh, workplace.inventory, workplace.artefact)
    ]
    terminal = ["--interactive", "--tty"] if sys.stdin.isatty() and sys.stdout.isatty() else []
    # The network of this machine: the hosts' SSH ports are published on its loopback address.
    common = [
        "run",
        "--rm",
        "--network=host",
        f"--env=RUNBOOK_OPS_CACHE={workplace.root}",
        f"--workdir={REPOSITORY}",
        *mounts,
        *terminal,
    ]
    engine.replace_process(*common, tag, *argv)


def log_in(name: str, argv: Sequence[str], workplace: Workplace) -> None:
    """Become an SSH client that is logged in to the host ``name``, or that runs ``argv`` there."""
    command = ssh_arguments(name, workplace)
    os.execvp(command[0], [*command, *argv])  # noqa: S606  # a program with its arguments, no shell of ours


def clean(engine: Engine, workplace: Workplace) -> None:
    """Throw all hosts and images of ours away."""
    down([], engine, workplace)
    say(f"{images.remove_all(engine)} images removed")


def allow_more_watches() -> None:
    """Raise the number of inotify instances where this machine allows few of them: a systemd host takes about four."""
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    if os.geteuid() == 0 and limit.exists() and int(limit.read_text(encoding="ascii")) < 1024:
        try:
            limit.write_text("1024", encoding="ascii")
        except OSError as exc:
            say(f"fs.inotify.max_user_instances stays low ({exc.strerror}): keep the number of hosts small")


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, text: str, hosts: str | None = None) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text)
        if hosts:
            added.add_argument("hosts", nargs=hosts, choices=[*HOSTS, []] if hosts == "*" else [*HOSTS], metavar="HOST")
        return added

    command("build", "build the images that do not exist yet: those of HOST, or all", "*")
    command("up", "bring hosts up", "+").add_argument("--fresh", action="store_true", help="begin with a new host")
    command("down", "throw hosts away: those named, or all", "*")
    command("sweep", "throw away the hosts that the machine was switched off under")
    command("status", "list images and hosts")
    ssh = command("ssh", "log in to HOST, or run a program there")
    ssh.add_argument("host", choices=[*HOSTS], metavar="HOST")
    ssh.add_argument("argv", nargs=argparse.REMAINDER, metavar="PROGRAM")
    inventory = command("inventory", "print the path of the inventory that lays HOST over the system's own")
    inventory.add_argument("host", choices=[host.name for host in HOSTS.values() if host.system], metavar="HOST")
    command("run-controller", "run a program in the controller image").add_argument(
        "argv", nargs=argparse.REMAINDER, metavar="PROGRAM"
    )
    command("clean", "throw all hosts and images away")
    return parser


def perform(chosen: argparse.Namespace, engine: Engine, workplace: Workplace) -> None:
    """Do what the command line asks for."""
    actions: dict[str, Callable[[], object]] = {
        "build": lambda: build(chosen.hosts, engine, workplace),
        "up": lambda: up(chosen.hosts, engine, workplace, fresh=chosen.fresh),
        "down": lambda: down(chosen.hosts, engine, workplace),
        "sweep": lambda: remove_lost(engine, workplace),
        "status": lambda: status(engine),
        "inventory": lambda: print(overlay(chosen.host, workplace)),
        "ssh": lambda: log_in(chosen.host, program(chosen.argv), workplace),
        "run-controller": lambda: run_controller(program(chosen.argv), engine, workplace),
        "clean": lambda: clean(engine, workplace),
    }
    actions[chosen.command]()


def program(argv: Sequence[str]) -> Sequence[str]:
    """Return ``argv`` without the two hyphens that may stand before it."""
    return argv[1:] if argv[:1] == ["--"] else argv


def main(argv: Sequence[str]) -> int:
    chosen = arguments().parse_args(argv)
    workplace = Workplace.find()
    try:
        engine = Engine.find(workplace.root)
        perform(chosen, engine, workplace)
    except HostsError as exc:
        say(f"hosts: {exc}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
