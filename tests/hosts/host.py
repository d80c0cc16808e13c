# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host: which image it runs, how it gets its contents, when it counts as up."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass

import images
from engine import PREFIX, Engine, HostsError
from images import Image
from workplace import Workplace

BOOT_SECONDS = 240  # where many boot at once on two processors
# Written as the last act of the creation: a host without it was left half-made and is made anew.
COMPLETE = "/etc/host-is-complete"
PEERS = "/etc/host-peers.json"
SSH_KEY = "/etc/ssh/ssh_host_ed25519_key.pub"
# Gives the key on standard input to the accounts that it names, in one call: each call of the engine has its price.
LET_IN = """set -eu
key="$(cat)"
for account; do
  place="$(getent passwd "$account" | cut -d: -f6)/.ssh"
  install -d -m 0700 -o "$account" -g "$account" "$place"
  printf '%s\\n' "$key" | install -m 0600 -o "$account" -g "$account" /dev/stdin "$place/authorized_keys"
done
"""


@dataclass(frozen=True)
class Host:
    """One host that can be brought up by name.

    ``system`` is the inventory host it stands for, if any; ``user`` the account to log in as; ``names`` what it finds at its
    own loopback address. ``peers`` are hosts that must be up before it, and whose names it finds at their addresses.
    ``provision.py`` in the directory of its image sets it up, unless it is ``bare``.
    """

    name: str
    image: Image
    system: str | None
    user: str = "root"
    names: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    ssh_port: int = 22
    bare: bool = False

    @classmethod
    def named(cls, name: str) -> Host:
        return HOSTS[name]

    @property
    def container(self) -> str:
        return f"{PREFIX}-{self.name}"

    def up(self, engine: Engine, workplace: Workplace, *, fresh: bool) -> str:
        """Bring the host up and return what was done: ``up already``, ``started`` or ``created``."""
        for peer in self.peers:
            HOSTS[peer].up(engine, workplace, fresh=False)
        tag = images.ensure(self.image, engine, workplace)
        with workplace.lock(f"host-{self.name}"):
            found = None if fresh else engine.inspect(self.container)
            if found and found["label"] == self.image.fingerprint and (found["running"] or self._starts(engine)):
                self._wait_for_boot(engine)
                if self._is_complete(engine):
                    self._let_in(engine, workplace)  # another cache, and so another key, may have created it
                    return "up already" if found["running"] else "started"
            self._create(tag, engine, workplace)
            images.prune_older(self.image, engine)
            return "created"

    def down(self, engine: Engine, workplace: Workplace) -> None:
        """Throw the host away."""
        with workplace.lock(f"host-{self.name}"):
            engine.remove(self.container)

    def _create(self, tag: str, engine: Engine, workplace: Workplace) -> None:
        engine.remove(self.container)
        engine.start(
            self.container,
            tag,
            self.image.fingerprint,
            ssh_port=self.ssh_port,
            docker=self.image.runs_docker,
            hosts=[f"{name}:{address}" for name, address in self._known_addresses(engine).items()],
        )
        self._wait_for_boot(engine)
        self._let_in(engine, workplace)
        if self.peers:
            install = ("install", "-m", "0600", "/dev/stdin", PEERS)
            engine("exec", "--interactive", self.container, *install, stdin=self._told_of_peers(engine))
        if not self.bare:
            self._exec(engine, "python3", f"/usr/local/share/{self.image.kind}/provision.py", timeout=600)
        self._exec(engine, "touch", COMPLETE)

    def _starts(self, engine: Engine) -> bool:
        """Start the host again, and return whether it runs: not where the machine was switched off under it."""
        engine("start", self.container, check=False)
        return self._exec(engine, "true", check=False) == 0

    def _is_complete(self, engine: Engine) -> bool:
        """Return whether the host was set up to its end, for the peers as they are now."""
        if self.peers:
            told = engine("exec", self.container, "cat", PEERS, check=False).stdout
            if told != self._told_of_peers(engine):
                return False
        return self._exec(engine, "test", "-e", COMPLETE, check=False) == 0

    def _known_addresses(self, engine: Engine) -> dict[str, str]:
        """Return addresses by the names that stand in the host's /etc/hosts."""
        known = dict.fromkeys(self.names, "127.0.0.1")
        for peer in self.peers:
            known.update(dict.fromkeys(HOSTS[peer].names, engine.address(HOSTS[peer].container)))
        return known

    def _told_of_peers(self, engine: Engine) -> str:
        """Return what the host gets to know of its peers: where they are, and what the vault that they share would hold."""
        variables: dict[str, object] = {}
        for peer in self.peers:
            variables.update(told_by(HOSTS[peer], engine)[1])
        return json.dumps({"addresses": self._known_addresses(engine), "variables": variables})

    def _let_in(self, engine: Engine, workplace: Workplace) -> None:
        """Authorize the key of this cache, and no other."""
        public_key = workplace.key.with_suffix(".pub").read_text(encoding="ascii")
        accounts = dict.fromkeys(["root", self.user])
        engine("exec", "--interactive", self.container, "sh", "-c", LET_IN, "sh", *accounts, stdin=public_key)

    def _exec(self, engine: Engine, *argv: str, timeout: float = 60, check: bool = True) -> int:
        return engine("exec", self.container, *argv, timeout=timeout, check=check).returncode

    def _wait_for_boot(self, engine: Engine) -> None:
        """Wait until systemd has settled and SSH answers.

        :raises HostsError: it did not within BOOT_SECONDS.
        """
        deadline = time.monotonic() + BOOT_SECONDS
        state = "unknown"
        while time.monotonic() < deadline:
            # It waits on the host: to ask the engine again and again takes more of a processor than to boot does.
            asked = engine(
                "exec", self.container, *["timeout", "20", "systemctl", "is-system-running", "--wait"], check=False
            )
            state = asked.stdout.strip() or "unknown"
            if state in ("running", "degraded"):
                found = engine.inspect(self.container)
                if found and ssh_answers(int(str(found["port"]))):
                    return
            time.sleep(0.1)
        raise HostsError(f"{self.name} did not boot within {BOOT_SECONDS} s (systemd says {state}): try 'up --fresh'")


def told_by(host: Host, engine: Engine) -> tuple[str, dict[str, object]]:
    """Return the host's SSH key, and what it says that its vault would hold: passwords are made when a host is created.

    Nothing, where it only seems to run, since the machine was switched off under it.
    """
    said = engine("exec", host.container, "cat", SSH_KEY, "/etc/host-variables.json", check=False).stdout
    key, _end, variables = said.partition("\n")
    return " ".join(key.split()[:2]), dict(json.loads(variables)) if variables else {}


def ssh_answers(port: int) -> bool:
    """Return whether an SSH server greets on ``port`` of the loopback address."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def owlivion(name: str, suite: str) -> Host:
    """Return a host of Owlivion Mail."""
    return Host(name, Image("owlivion", suite), "owlivion-1", user="owlivion", names=("owlivion.com",))


def plugspace(name: str) -> Host:
    """Return a host of Plugspace.io."""
    image = Image("plugspace", "bookworm")
    return Host(name, image, "plugspace-1", user="plugspace", names=("plugspace.io",), ssh_port=2222)


def newsletter(name: str) -> Host:
    """Return a host of the newsletter application."""
    return Host(name, Image("newsletter", "trixie"), "newsletter-1", user="deploy", names=("newsletter.example.com",))


def mediasearch(name: str) -> Host:
    """Return a host of AI Media Search."""
    return Host(name, Image("mediasearch", "trixie"), "mediasearch-1", user="deploy", names=("yourdomain.com",))


def lifeplatform(name: str) -> Host:
    """Return a host of the life management platform, as Docker Compose runs it."""
    return Host(name, Image("lifeplatform", "trixie"), "lifeplatform-1", user="deploy", names=("your-domain.com",))


def orchard() -> tuple[Host, Host]:
    """Return the hosts of the orchard, the system that docs/describe_a_system.md describes."""
    store, front = Image("orchard_store", "bookworm"), Image("orchard_web", "trixie")
    names = ("store.orchard.example",)
    return (
        Host("orchard-store", store, "orchard-store", user="gardener", names=names, ssh_port=2201),
        Host(
            "orchard-web", front, "orchard-web", user="gardener", names=("orchard.example",), peers=("orchard-store",)
        ),
    )


# A further system is a directory beside this file (Containerfile, provision.py, copied to /usr/local/share/<directory>/) and
# two lines here: a host that the tests share, and one for the demonstration, which no test touches.
HOSTS = {
    host.name: host
    for host in (
        owlivion("demo-owlivion", "bookworm"),
        owlivion("owlivion-12", "bookworm"),
        owlivion("owlivion-13", "trixie"),
        plugspace("demo-plugspace"),
        plugspace("plugspace"),
        newsletter("demo-newsletter"),
        newsletter("newsletter"),
        mediasearch("demo-mediasearch"),
        mediasearch("mediasearch"),
        lifeplatform("demo-lifeplatform"),
        lifeplatform("lifeplatform"),
        *orchard(),
        # The same programs with nothing set up: for tests that bring their own private servers.
        Host("tools-12", Image("owlivion", "bookworm"), None, bare=True),
        Host("tools-13", Image("owlivion", "trixie"), None, bare=True),
        # Servers from nothing, for recoveries: of Owlivion, and of the life management platform.
        Host("drill-12", Image("drill", "bookworm"), "drill-1", bare=True),
        Host("drill-13", Image("drill_docker", "trixie"), "drill-1", bare=True),
    )
}
