# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The switch of a service from one slot to the other: one rename, proven by requests, or taken back. Private to this collection.

Which slot is live decides what nginx reads, not a file of ours: see :mod:`_live_state`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils import _live_socket
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence, held
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import StateError, write_json
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._live_proof import Proof, make_proof
from ansible_collections.runbook.ops.plugins.module_utils._live_proxy import (
    Proxy,
    ProxyWishes,
    on_the_way,
    open_ways,
    ports_passed_to,
    proxy_of,
    take_over,
    task_of,
    wishes_of,
)
from ansible_collections.runbook.ops.plugins.module_utils._live_state import (
    SOCKET,
    Live,
    State,
    encode,
    make_live,
    read_live,
    read_state,
)
from ansible_collections.runbook.ops.plugins.module_utils._nginx_change import Nginx, prove
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import NginxError
from ansible_collections.runbook.ops.plugins.module_utils._nginx_files import Change
from ansible_collections.runbook.ops.plugins.module_utils._nginx_upstream import run as run_upstream

if TYPE_CHECKING:
    from ansible_collections.runbook.ops.plugins.module_utils._release import Release
    from ansible_collections.runbook.ops.plugins.module_utils._slot import Slot

__all__ = ["Live", "ProxyWishes", "read_live", "wishes_of"]

SECTION = "Proxy"
LOOK_SECONDS = 0.05
FAILURES = (NginxError, CommandError, StateError, ValueError, OSError)


class SwitchError(Exception):
    """The switch was not made, or was taken back; the message is one line and says what is live now."""


class SwitchReport(NamedTuple):
    """What a switch came to."""

    switched: bool  # False: it was live already
    before: Live | None
    live: Live
    way: str
    seconds: float | None = None  # from the commit to the first right answer; None where nothing was switched
    actions: tuple[str, ...] = ()
    checks: tuple[dict[str, Any], ...] = ()


class DrainReport(NamedTuple):
    """How the requests of a slot came to an end."""

    left: int  # connections that were still open after the time
    seconds: float


def adopt(paths: Any, fence: Fence, slot: Slot, release_id: str | None) -> Live:
    """Write down that ``slot`` gets the requests: before the first switch, and where there is no proxy.

    :param paths: ``DeployPaths`` of the service
    :raises SwitchError: it cannot be written.
    """
    live = make_live(slot, release_id)
    with _errors("adopt"), held(fence):
        write_json(paths.live, encode(read_state(paths.live)._replace(now=live, next=None)))
    return live


def switch(paths: Any, fence: Fence, to: Slot, release: Release, wishes: ProxyWishes) -> SwitchReport:
    """Send requests to the slot ``to``, which runs ``release``, and prove it; or leave all as it was.

    Requests that have begun stay where they are: call :func:`drain` before the other slot is stopped. What a killed switch has left is
    finished: called with the same slot once more, it proves that it is live, and writes what was not written.

    :raises SwitchError: it could not be made or proven; what was live is live.
    :raises LockError: another run took over; nothing was written since.
    """
    with _errors("switch"):
        before = settle(paths, fence, wishes)
        proxy = proxy_of(paths, fence, wishes)
        proof = make_proof(wishes.requests, wishes.version, release)
        if before is not None and before.slot == to.name:
            return _stay(proxy, before, make_live(to, release.id), proof)
        change = _by_socket if proxy.way == SOCKET else _by_reload
        return change(proxy, before, make_live(to, release.id), proof)


def settle(paths: Any, fence: Fence, wishes: ProxyWishes | None) -> Live | None:
    """Finish what a killed switch has left, write down what is live, and return it; None where nothing was ever deployed.

    :param wishes: None where there is no proxy
    :raises SwitchError: it is not known which slot is live, or nginx does not take what its files say.
    :raises LockError: another run took over; nothing was written since.
    """
    with _errors("settle"):
        state, live = read_state(paths.live), read_live(paths)
        if live is not None and wishes is not None and _connects(paths, state):
            with held(fence):
                if _live_socket.target(paths.live_socket) != live.slot:
                    _live_socket.make_directories(paths.live_socket.parent)
                    _live_socket.lead(paths.live_socket, live.slot)
                _live_socket.survive(paths.service, live.slot, paths.live_socket, wishes.places)
        if live is not None and wishes is not None and state.file is not None and _is_cut_off(state, wishes):
            address = f"unix:{paths.live_socket}" if _connects(paths, state) else f"127.0.0.1:{live.port}"
            run_upstream(task_of(proxy_of(paths, fence, wishes), address, None), check_mode=False)
        if state.next is not None:
            with held(fence):
                write_json(paths.live, encode(state._replace(now=live, next=None)))
        return live


def led_to(wishes: ProxyWishes, ports: Iterable[int]) -> set[int]:
    """Return those of ``ports`` that nginx sends requests to, by its files.

    :raises SwitchError: they cannot be understood.
    """
    with _errors("see where nginx leads to"):
        return ports_passed_to(wishes, ports)


def predict(paths: Any, to: Slot, wishes: ProxyWishes) -> list[str]:
    """Return in words what :func:`switch` would do; changes nothing.

    :raises SwitchError: it would refuse.
    """
    with _errors("predict"):
        proxy = proxy_of(paths, Fence("", 0, ""), wishes)
        live = read_live(paths)
        address = f"unix:{paths.live_socket}" if proxy.way == SOCKET else f"127.0.0.1:{to.port}"
        planned = run_upstream(task_of(proxy, address, None), check_mode=True)["actions"]
        if live is not None and live.slot == to.name:
            return list(planned)
        return [*planned, f"requests go to {to.label} on port {to.port}"]


def drain(paths: Any, slot: Slot, wishes: ProxyWishes | None, *, seconds: float) -> DrainReport:
    """Wait until no request through nginx is on its way in ``slot`` any more, at most ``seconds``. It must not be live.

    :raises SwitchError: it is live.
    """
    with _errors("drain"):
        live = read_live(paths)
    if live is not None and live.slot == slot.name:
        raise SwitchError(f"{slot.label} is live: its requests do not come to an end; switch to the other one first")
    return _wait(lambda: on_the_way(paths, slot, wishes), seconds)


def _wait(left_now: Callable[[], int], seconds: float) -> DrainReport:
    """Wait until nothing is left, at most ``seconds``."""
    began, quiet = time.monotonic(), 0
    while True:
        left = left_now()
        quiet = 0 if left else quiet + 1
        spent = time.monotonic() - began
        if quiet >= 2 or spent >= seconds:  # a connection may be made in the moment of the switch: look twice
            return DrainReport(left, round(spent, 3))
        time.sleep(LOOK_SECONDS)


def forget(
    paths: Any, fence: Fence, wishes: ProxyWishes, *, seconds: float = 0.0, check_mode: bool = False
) -> list[str]:
    """Write the live slot's address into nginx's configuration, as by hand, and remove units and sockets; return what was done, or would be.

    nginx is reloaded for it: it is for the end of all deploys. Killed, it is done by the next call.

    :param seconds: how long what is on its way through the sockets may take; what is left then is cut off, with a warning
    :raises SwitchError: it could not be done; what is live is live.
    """
    with _errors("forget"):
        live = read_live(paths) if check_mode else settle(paths, fence, wishes)
        if live is None or read_state(paths.live).file is None:
            return []
        if check_mode:
            return [f"have nginx pass requests to 127.0.0.1:{live.port} by its own files", "remove the sockets"]
        proxy, port = proxy_of(paths, fence, wishes), live.port
        done = list(run_upstream(task_of(proxy, f"127.0.0.1:{port}", None), check_mode=False)["actions"])
        done += run_upstream(task_of(proxy, f"127.0.0.1:{port}", None, present=False), check_mode=False)["actions"]
        reached("live:forgotten")
        left = _wait(lambda: _live_socket.all_connections(paths.live_socket), seconds).left
        if left:
            wishes.module.warn(
                f"{left} connections through the sockets were still open after {seconds:g} s, and were cut off"
            )
        systemctl = Command(wishes.module, "systemctl")
        with held(fence):
            done += _live_socket.close_way(paths.service, paths.live_socket, wishes.places, systemctl)
            write_json(paths.live, encode(read_state(paths.live)._replace(file=None, next=None)))
        return done


def _by_socket(proxy: Proxy, before: Live | None, live: Live, proof: Proof) -> SwitchReport:
    """Exchange the link. At the first time nginx is led to it before."""
    paths, link = proxy.paths, proxy.paths.live_socket
    actions = open_ways(proxy, before, live)
    if before is not None:
        actions += take_over(proxy)
    with proxy.guard():
        write_json(paths.live, encode(State(before, live, proxy.file)))
        reached("live:written")
        began = time.monotonic()
        _live_socket.lead(link, live.slot)
    reached("live:linked")
    try:
        if before is None:
            actions += take_over(proxy)
        if not _live_socket.leads(link, live.slot):
            raise NginxError(f"nobody listens behind {link}")
        prove(Nginx(lambda: None, proof.renewed(), proxy.wishes.proof_seconds))
        reached("live:proven")
        with proxy.guard():
            # Until live.json is settled the link decides: so what makes the link at a boot is written before it.
            _live_socket.survive(paths.service, live.slot, link, proxy.wishes.places)
            reached("live:survives")
            write_json(paths.live, encode(State(live, None, proxy.file)))
    except FAILURES as exc:  # whatever it is: what serves unwatched is never left to serve
        with proxy.guard():
            if before is not None:
                _live_socket.lead(link, before.slot)
                with suppress(OSError):
                    _live_socket.survive(paths.service, before.slot, link, proxy.wishes.places)
            _settle_back(proxy, before)
        raise SwitchError(f"{_line(exc)}; {_stands(before)}") from exc
    reached("live:settled")
    actions.append(f"requests go to {live.label} on port {live.port}")
    return _report(proxy, before, live, proof.seconds_since(began), actions)


def _by_reload(proxy: Proxy, before: Live | None, live: Live, proof: Proof) -> SwitchReport:
    """Have nginx read a file that names the other port."""
    paths = proxy.paths
    with proxy.guard():
        write_json(paths.live, encode(State(before, live, proxy.file)))
    reached("live:written")
    began = time.monotonic()
    try:
        done = run_upstream(task_of(proxy, f"127.0.0.1:{live.port}", proof.renewed()), check_mode=False)
    except NginxError as exc:
        with proxy.guard():
            write_json(paths.live, encode(State(before, None, proxy.file)))
        raise SwitchError(f"{exc}; {_stands(before)}") from exc
    reached("live:proven")
    try:
        with proxy.guard():
            write_json(paths.live, encode(State(live, None, proxy.file)))
    except FAILURES as exc:
        if before is not None:
            run_upstream(task_of(proxy, f"127.0.0.1:{before.port}", None), check_mode=False)
        with proxy.guard():
            _settle_back(proxy, before)
        raise SwitchError(f"{_line(exc)}; {_stands(before)}") from exc
    return _report(proxy, before, live, proof.seconds_since(began), list(done["actions"]))


def _settle_back(proxy: Proxy, before: Live | None) -> None:
    """Write that ``before`` is live, as nginx is led to it again: where it cannot be written, that decides."""
    with suppress(OSError, StateError):
        write_json(proxy.paths.live, encode(State(before, None, proxy.file)))


def _stay(proxy: Proxy, before: Live, live: Live, proof: Proof) -> SwitchReport:
    """Prove that the slot that is live has nginx's requests, by the way that is wished."""
    paths = proxy.paths
    if proxy.way == SOCKET:
        actions = [*open_ways(proxy, before, None), *take_over(proxy)]
    else:
        actions = run_upstream(task_of(proxy, f"127.0.0.1:{before.port}", None), check_mode=False)["actions"]
    try:
        prove(Nginx(lambda: None, proof, proxy.wishes.proof_seconds))
    except NginxError as exc:
        raise SwitchError(f"{exc}; {_stands(before)}") from exc
    live = before if before.release == live.release else live
    with proxy.guard():
        write_json(paths.live, encode(State(live, None, proxy.file)))
    return SwitchReport(switched=False, before=before, live=live, way=proxy.way, actions=tuple(actions))


def _connects(paths: Any, state: State) -> bool:
    """Return whether nginx's file has it connect to the link."""
    try:
        return state.file is not None and f"unix:{paths.live_socket};" in Path(state.file).read_text(encoding="utf-8")
    except OSError:
        return False


def _is_cut_off(state: State, wishes: ProxyWishes) -> bool:
    """Return whether a change of nginx's files may not be finished."""
    journal = Path(wishes.directory) / f"{Path(state.file or '').stem}.json"
    return state.next is not None or Change(journal).pending() is not None


def _report(proxy: Proxy, before: Live | None, live: Live, seconds: float | None, actions: list[str]) -> SwitchReport:
    checks = []
    if proxy.why:
        checks.append(
            make_check(
                f"switch:{proxy.paths.service}:way",
                name=f"switch of {proxy.paths.service}",
                section=SECTION,
                status="warning",
                detail=f"{proxy.why}: nginx was reloaded, which closes idle connections of clients",
                remedy="install the package systemd, or set deploy.switch to reload",
            )
        )
    return SwitchReport(True, before, live, proxy.way, seconds, tuple(actions), tuple(checks))


def _stands(before: Live | None) -> str:
    return f"{before.label} on port {before.port} is live as before" if before else "nginx serves as before"


@contextmanager
def _errors(doing: str) -> Iterator[None]:
    """Say in one line what went wrong below, as a :class:`SwitchError`."""
    try:
        yield
    except FAILURES as exc:
        raise SwitchError(f"cannot {doing}: {_line(exc)}") from exc


def _line(exc: Exception) -> str:
    return f"{exc.filename or exc}: {exc.strerror or exc}" if isinstance(exc, OSError) else str(exc)
