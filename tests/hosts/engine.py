# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container engine: everything that podman and docker do differently is in this file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CAP_SYS_RESOURCE = 24
PREFIX = "runbook-ops"


class HostsError(Exception):
    """Something that the person at the keyboard can act on; its text is one line that says what to do."""


@dataclass(frozen=True)
class Machine:
    """What decides how podman has to be told to work on this machine."""

    hybrid_cgroups: bool
    systemd: bool
    may_raise_limits: bool

    @classmethod
    def here(cls) -> Machine:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        effective = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff"))
        return cls(
            hybrid_cgroups=not Path("/sys/fs/cgroup/cgroup.controllers").exists(),
            systemd=Path("/run/systemd/system").exists(),
            may_raise_limits=os.geteuid() != 0 or bool(effective >> CAP_SYS_RESOURCE & 1),
        )


def containers_conf(machine: Machine) -> str:
    """Return the settings podman needs on ``machine``: an empty text where its own defaults work."""
    containers, engine = [], []
    if not machine.may_raise_limits:
        containers.append('default_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]')
    if machine.hybrid_cgroups:
        engine.append('runtime = "runc"')  # crun refuses hybrid cgroups
    if not machine.systemd:
        engine += ['cgroup_manager = "cgroupfs"', 'events_logger = "file"']
    sections = {"containers": containers, "engine": engine}
    return "".join(f"[{name}]\n" + "\n".join(lines) + "\n" for name, lines in sections.items() if lines)


@dataclass(frozen=True)
class Engine:
    """One way to build images and run hosts. ``cache`` is where settings and logs of the engine go."""

    program: str
    cache: Path
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def find(cls, cache: Path) -> Engine:
        """Return the engine that RUNBOOK_OPS_ENGINE names, else podman.

        :raises HostsError: it is not installed.
        """
        program = os.environ.get("RUNBOOK_OPS_ENGINE", "podman")
        if shutil.which(program) is None:
            raise HostsError(f"{program} is not installed: run 'make setup', or name another in RUNBOOK_OPS_ENGINE")
        environment = {}
        if Path(program).name == "podman" and "CONTAINERS_CONF" not in os.environ:
            settings = containers_conf(Machine.here())
            if settings:
                path = cache / "containers.conf"
                if not path.exists() or path.read_text(encoding="utf-8") != settings:
                    path.write_text(settings, encoding="utf-8")
                environment["CONTAINERS_CONF"] = str(path)
        return cls(program, cache, environment)

    @property
    def is_podman(self) -> bool:
        return Path(self.program).name == "podman"

    def __call__(
        self, *argv: str, stdin: str | None = None, timeout: float = 60, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the engine and return what it said.

        :raises HostsError: it failed, or took longer than ``timeout`` seconds.
        """
        try:
            done = subprocess.run(
                [self.program, *argv],
                input=stdin,
                stdin=None if stdin is not None else subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
                env={**os.environ, **self.environment},
            )
        except subprocess.TimeoutExpired as exc:
            raise HostsError(f"'{self.program} {' '.join(argv[:3])}' took longer than {timeout:.0f} s") from exc
        if check and done.returncode:
            own = ("time=", "Error: exec session")  # the engine's remarks follow what the program in the container said
            said = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
            last = next(
                (line for line in reversed(said) if not line.startswith(own)), said[-1] if said else "no message"
            )
            raise HostsError(f"'{self.program} {' '.join(argv[:3])}' failed ({done.returncode}): {last}")
        return done

    def replace_process(self, *argv: str) -> None:
        """Become the engine: for what needs the terminal. Does not return."""
        os.execvpe(self.program, [self.program, *argv], {**os.environ, **self.environment})  # noqa: S606  # no shell

    def images(self) -> Iterator[str]:
        """Yield the names of the images that are ours."""
        listing = ("images", "--format", "{{.Repository}}:{{.Tag}}")
        asked = self(*listing, check=False)
        # It fails where another process removes an image at that very moment.
        listed = (self(*listing) if asked.returncode else asked).stdout.split()
        yield from (name for name in listed if name.startswith(f"localhost/{PREFIX}/"))

    def build(self, tag: str, context: Path, arguments: dict[str, str], log: Path) -> None:
        """Build the image ``tag`` from the Containerfile in ``context``; what the build says goes to ``log``."""
        argv = ["build", "--network", "host", "--tag", tag, "--file", str(context / "Containerfile")]
        argv += [f"--build-arg={key}={value}" for key, value in arguments.items()]
        bundle = certificate_bundle()
        if bundle:
            argv += ["--secret", f"id=ca,src={bundle}"]
        done = self(*argv, str(context), timeout=1800, check=False)
        log.write_text(done.stdout + done.stderr, encoding="utf-8")
        if done.returncode:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
            raise HostsError(f"building {tag} failed, the end of {log}:\n{tail}")

    def save(self, tags: Mapping[str, str], path: Path) -> None:
        """Write images into one file, for ``docker load``: ``tags`` by the names that they have there."""
        names = {f"docker.io/library/{name}": tag for name, tag in tags.items()}
        for name, tag in names.items():
            self("tag", tag, name)
        archive = ["--multi-image-archive"] if self.is_podman else []
        self("save", *archive, "--output", str(path), *names, timeout=300)
        for name, tag in names.items():
            self(*(["untag", tag] if self.is_podman else ["rmi"]), name)

    def start(
        self, name: str, image: str, label: str, *, ssh_port: int = 22, docker: bool = False, hosts: Sequence[str] = ()
    ) -> None:
        """Create and start a host: systemd as process 1, SSH published on a free port of the loopback address.

        :param ssh_port: where its SSH server listens
        :param docker: whether a Docker engine runs in it: that needs all privileges, and a file system that overlayfs can use
        """
        argv = ["run", "--detach", "--name", name, "--hostname", name.removeprefix(f"{PREFIX}-")]
        argv += ["--label", f"{PREFIX}={label}", "--publish", f"127.0.0.1::{ssh_port}"]
        argv += ["--privileged", "--volume", "/var/lib/docker"] if docker else ["--cap-add", "NET_ADMIN,NET_RAW"]
        # As root of a real host: it may see which libraries the processes of others have loaded.
        argv += [] if docker else ["--cap-add", "SYS_PTRACE"]
        # Clients within get other ports than those that tests listen on: one that a client had is refused to them for a minute.
        argv += ["--sysctl", "net.ipv4.ip_local_port_range=41000 53999"]
        argv += ["--tmpfs", "/srv/small:size=64m,mode=1777"]
        argv += [f"--add-host={host}" for host in hosts]
        if self.is_podman:
            argv += ["--systemd=always"]
        else:  # docker gives no systemd of its own: a private cgroup tree and the mounts systemd asks for
            argv += [] if docker else ["--privileged"]
            argv += ["--cgroupns=private", "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp"]
        self(*argv, image, timeout=120)

    def has_image(self, tag: str) -> bool:
        """Return whether an image is there: to list them all takes several times as long."""
        return self("image", "inspect", "--format", "{{.Id}}", tag, check=False).returncode == 0

    def inspect(self, name: str) -> dict[str, object] | None:
        """Return what ``inspect_all`` says of a host, None where there is none of that name."""
        return self.inspect_all([name]).get(name)

    def inspect_all(self, names: Sequence[str]) -> dict[str, dict[str, object]]:
        """Return state, label and SSH port of those of the hosts ``names`` that there are.

        The SSH port is the only one that a host publishes.
        """
        done = self(
            "container", "inspect", *names, check=False
        )  # it fails where one is missing, and tells of the others
        return {facts["Name"].removeprefix("/"): self._state(facts) for facts in json.loads(done.stdout or "[]")}

    def _state(self, facts: dict[str, Any]) -> dict[str, object]:
        # podman has no daemon: after a power cut it takes hosts for running whose processes are gone.
        gone = self.is_podman and sys.platform == "linux" and not Path(f"/proc/{facts['State']['Pid']}").exists()
        published: dict[str, list[dict[str, str]] | None] = facts["NetworkSettings"]["Ports"]
        ports = next((port for port in published.values() if port), [])
        return {
            "running": facts["State"]["Running"] and not gone,
            "label": facts["Config"]["Labels"].get(PREFIX, ""),
            "port": int(ports[0]["HostPort"]) if ports else 0,
        }

    def address(self, name: str) -> str:
        """Return the address at which other hosts reach a host.

        :raises HostsError: it has none.
        """
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        found = self("container", "inspect", "--format", template, name).stdout.split()
        if not found:
            raise HostsError(f"{name} has no address that another host could reach: run {self.program} as root")
        return found[0]

    def containers(self) -> list[str]:
        """Return the names of our hosts, running or not."""
        argv = ("ps", "--all", "--filter", f"label={PREFIX}", "--format", "{{.Names}}")
        return sorted(self(*argv).stdout.split())

    def lost(self) -> list[str]:
        """Return the names of those of our hosts that podman takes for running and whose processes are gone."""
        if not self.is_podman or sys.platform != "linux":
            return []
        ours = ("--filter", f"label={PREFIX}", "--filter", "status=running")
        rows = [line.split() for line in self("ps", *ours, "--format", "{{.Names}} {{.Pid}}").stdout.splitlines()]
        return [name for name, pid in rows if not Path("/proc", pid).exists()]

    def remove(self, name: str) -> None:
        """Throw a host away with all that is in it; nothing happens where there is none."""
        argv = ["rm", "--force", "--volumes"] + (["--time=0"] if self.is_podman else [])
        self(*argv, name, check=False, timeout=120)


def certificate_bundle() -> str | None:
    """Return the machine's own CA bundle, for the downloads of a build, None where it has none of its own."""
    candidates = (os.environ.get(name) for name in ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"))
    return next((path for path in candidates if path and Path(path).is_file()), None)
