# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A slot: one of the places where a release of a service runs, beside the other one. Private to this collection.

Two slots of a service never touch each other: each has its own name at its manager and its own port.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from ansible_collections.runbook.ops.plugins.module_utils._release import Release

ADOPTED = "adopted"  # what a person had started before the first deployment
RELEASE_VARIABLE = "RUNBOOK_OPS_RELEASE"  # PM2: in the environment of whatever we start
RELEASE_LABEL = "runbook-ops.release"  # Compose: at its container


class SlotError(Exception):
    """A slot cannot be brought where it should be; the message is one line that says what to do."""


class SlotSeen(NamedTuple):
    """What runs in a slot at one moment."""

    # absent | stopped | starting | running | ill (it runs, and its health check says no) | broken (its manager gave it up, or it restarts)
    status: str = "absent"
    release: str | None = None  # its id; "adopted" for what a person has started; None where nothing is known
    pids: tuple[int, ...] = ()  # all its processes, of a container the first one
    listening: tuple[int, ...] = ()  # those of them that take connections on the slot's port
    restarts: int = 0  # by its manager, since it was made
    started_at: float | None = None  # of the process that started last, in seconds since 1970
    memory_bytes: int = 0
    trouble: str | None = None  # what its manager says is wrong, in a few words
    exit_code: int | None = None  # of what has ended, where its manager knows


class Standing(NamedTuple):
    """How something is run: what a release keeps, so that it can be started again in the same way."""

    process: dict[
        str, Any
    ]  # the definition in the manager's words: no environment, no name, no port, no directory of its own
    environment: dict[str, str]  # holds secrets
    path: str | None = None  # directory it runs in; None for containers
    image: str | None = None  # of a container, by digest


class Slot(Protocol):
    """One slot of a service. Nothing it does reaches the other slot, or a process that is not its own."""

    name: str  # blue | green | base (Compose: what a person brought up in the project itself; it has blue's port)
    port: int
    label: str  # name of the application in PM2, or of the Compose project
    secrets: tuple[str, ...]  # values that must not be shown, as far as they are known now

    def look(self) -> SlotSeen:
        """Return what runs in it.

        :raises SlotError: its manager cannot be asked.
        """

    def start(self, release: Release, environment: Mapping[str, str]) -> None:
        """Have exactly this release run here, with exactly this environment and the slot's port; does not wait until it answers.

        What runs as wished is left alone; anything else of this slot is stopped first.

        :raises SlotError: another process has the port, or the manager refuses.
        """

    def stop(self, *, seconds: float) -> None:
        """End it as its manager does, and by KILL what is still there after ``seconds``. It is kept, to be started again.

        :raises SlotError: it did not end.
        """

    def remove(self) -> None:
        """Stop it, and have its manager forget it."""

    def standing(self) -> Standing | None:
        """Return how what runs here was started; None where nothing does."""

    def strangers(self) -> list[str]:
        """Return who else takes connections on the slot's port: ``pid 812 (nginx)``."""

    def instances(self) -> list[tuple[str, str, int]]:
        """Return name, address and port of each of several instances, where the slot's port reaches only one of them at a time."""

    def taken_by_other(self, *, seconds: float) -> str | None:
        """Return who takes a connection to the slot's port instead of it, or that nobody does; None where the slot does.

        A connection is opened and closed again, without a request.
        """

    def log(self, lines: int = 10) -> list[str]:
        """Return the last lines it wrote since it was started, without secrets."""


def slots_of(service: Mapping[str, Any], paths: Any, module: Any) -> dict[str, Slot]:
    """Return the slots of a service by name: blue, where it has a standby port green, and for Compose base.

    :param service: as the role ``system`` describes it
    :param paths: ``DeployPaths`` of the service
    :param module: the ``AnsibleModule`` that runs
    :raises SlotError: its manager is not installed, or has no slots.
    """
    if service["manager"] == "pm2":
        from ansible_collections.runbook.ops.plugins.module_utils._slot_pm2 import pm2_slots  # noqa: PLC0415

        return pm2_slots(service, paths, module)
    if service["manager"] == "compose":
        from ansible_collections.runbook.ops.plugins.module_utils._slot_compose import compose_slots  # noqa: PLC0415

        return compose_slots(service, paths, module)
    raise SlotError(f"{service['name']} is run by {service['manager']}, which has no slots: pm2 and compose have")


def standing_of(service: Mapping[str, Any], directory: str | None, module: Any) -> Standing:
    """Return how a release of ``service`` is to be run: what a release keeps when it is built.

    :param directory: of the release; None for an image
    :raises SlotError: nothing says how.
    """
    if service["manager"] == "pm2":
        from ansible_collections.runbook.ops.plugins.module_utils._slot_pm2 import pm2_standing  # noqa: PLC0415

        return pm2_standing(service, directory, module)
    if service["manager"] == "compose":
        from ansible_collections.runbook.ops.plugins.module_utils._slot_compose import compose_standing  # noqa: PLC0415

        return compose_standing(service, module, directory)
    if service["manager"] == "vercel":  # Vercel knows it
        return Standing({}, {})
    raise SlotError(f"{service['name']} is run by {service['manager']}: releases of pm2 and compose are started here")


def image_build_of(service: Mapping[str, Any], directory: str, module: Any) -> Mapping[str, Any] | None:
    """Return how the image of a release of Compose is built, in the words of its Compose file; None where that does not say.

    :raises SlotError: the file cannot be read.
    """
    from ansible_collections.runbook.ops.plugins.module_utils._slot_compose import compose_build  # noqa: PLC0415

    return compose_build(service, module, directory)
