# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way of requests from nginx to the slots of a service: what it is made of, and who is on it. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.runbook.ops.plugins.module_utils import _live_socket, _nginx_host
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence, held
from ansible_collections.runbook.ops.plugins.module_utils._command import Command
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._live_proof import Proof, make_proof
from ansible_collections.runbook.ops.plugins.module_utils._live_state import RELOAD, SOCKET, Live
from ansible_collections.runbook.ops.plugins.module_utils._nginx_change import Nginx
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import NginxError, walk
from ansible_collections.runbook.ops.plugins.module_utils._nginx_files import read_conf
from ansible_collections.runbook.ops.plugins.module_utils._nginx_plan import Wish, named_upstream
from ansible_collections.runbook.ops.plugins.module_utils._nginx_upstream import Task, run

if TYPE_CHECKING:
    from ansible_collections.runbook.ops.plugins.module_utils._slot import Slot

CACHES = ("keepalive", "keepalive_timeout", "keepalive_requests", "keepalive_time")  # connections that stay with a slot


NAMES = ("localhost", "127.0.0.1", "[::1]")  # of this host, in nginx's configuration


class ProxyWishes(NamedTuple):
    """How requests get from nginx to a slot, and what proves that they do."""

    upstream: str  # name of nginx's upstream
    replaces: tuple[str, ...]  # addresses that stand in nginx's configuration before it is taken over
    way: str  # SOCKET or RELOAD
    requests: tuple[Mapping[str, Any], ...]  # options of the probe http; asked through nginx
    version: Mapping[str, Any] | None  # url (through nginx), json, is
    module: Any  # the AnsibleModule, to run nginx and systemctl
    config: str = "/etc/nginx/nginx.conf"
    directory: str = "/var/lib/runbook-ops/nginx"  # journal and copies of nginx's files
    units: str = "/etc/systemd/system"
    tmpfiles: str = "/etc/tmpfiles.d"
    proof_seconds: float = 5.0

    @property
    def places(self) -> _live_socket.Places:
        return _live_socket.Places(Path(self.units), Path(self.tmpfiles))


def wishes_of(service: Mapping[str, Any], module: Any) -> ProxyWishes:
    """Return what the description says about the way to ``service``.

    :param service: as the role ``system`` describes it; its ``deploy`` names ``url``
    :param module: the ``AnsibleModule`` that runs
    """
    deploy = service["deploy"]
    ports = [port for port in (service["port"], service.get("standby_port")) if port]
    asked = {"address": deploy["address"], "verify": True, "timeout_seconds": 5}
    parts = urlsplit(deploy["url"])
    base = f"{parts.scheme}://{parts.netloc}"
    smoke = [
        {"url": base + one["request"], "status": [one["status"]], "json": one["json"], **asked}
        for one in deploy["smoke"]
    ]
    # What the URL answers rightly may be said below smoke: a server of WebSockets has no 200 for such a request.
    requests = [one for one in smoke if one["url"] == deploy["url"]][:1] or [{"url": deploy["url"], **asked}]
    requests += [one for one in smoke if one["url"] != deploy["url"]]
    version = deploy["version"]
    if version:
        tail = urlsplit(version["url"].replace("{port}", "1"))
        version = {**version, "url": base + tail.path + (f"?{tail.query}" if tail.query else ""), **asked}
    return ProxyWishes(
        upstream=service["name"].replace("@", "_"),
        replaces=tuple(f"{name}:{port}" for port in ports for name in NAMES),
        way=deploy["switch"] if deploy["switch"] in (SOCKET, RELOAD) else SOCKET,
        requests=tuple(requests),
        version=version,
        module=module,
    )


class Proxy(NamedTuple):
    """One service behind nginx, as a switch sees it."""

    paths: Any
    fence: Fence
    wishes: ProxyWishes
    way: str
    upstream: str
    file: str  # of servers
    why: str | None  # why it is not the way that was wished

    def guard(self) -> AbstractContextManager[None]:
        return held(self.fence)


def proxy_of(paths: Any, fence: Fence, wishes: ProxyWishes) -> Proxy:
    way, why = wishes.way, None
    if way == SOCKET and _live_socket.proxyd() is None:
        way, why = RELOAD, "systemd-socket-proxyd is not there"
    conf = read_conf(wishes.config)
    name = named_upstream(conf, (*wishes.replaces, f"unix:{paths.live_socket}")) or wishes.upstream
    return Proxy(paths, fence, wishes, way, name, str(_beside(wishes, f"runbook-ops/{name}.servers")), why)


def task_of(proxy: Proxy, address: str, proof: Proof | None, *, present: bool = True) -> Task:
    """Return the change of nginx's files that has it pass requests to ``address``."""
    wishes, name = proxy.wishes, proxy.upstream
    drops = CACHES if address.startswith("unix:") else ()
    wish = Wish(
        name,
        (address,),
        wishes.replaces,
        proxy.file,
        str(_beside(wishes, f"conf.d/runbook-ops-{name}.conf")),
        drops,
    )
    test = _nginx_host.nginx_test(Command(wishes.module, "nginx"), wishes.config)
    return Task(
        wish,
        present=present,
        config=wishes.config,
        directory=Path(wishes.directory),
        nginx=Nginx(test, proof, wishes.proof_seconds, proxy.guard),
        drain_seconds=0,  # drain() waits for them, before their slot is stopped
    )


def ports_passed_to(wishes: ProxyWishes, ports: Iterable[int]) -> set[int]:
    """Return those of ``ports`` of this host that nginx's configuration passes requests to, itself or by an upstream.

    :raises NginxError: it cannot be understood.
    """
    directives = read_conf(wishes.config).directives
    servers: dict[str, list[str]] = {}
    passed: set[str] = set()
    for directive, _above in walk(directives):
        words = directive.texts()
        if directive.name.text == "upstream" and words:
            inner = [one.texts() for one in directive.block if one.name.text == "server"]
            servers[words[0]] = [one[0] for one in inner if one and not {"down", "backup"} & {*one[1:]}]
        elif directive.name.text in ("proxy_pass", "grpc_pass") and words:
            passed.add(urlsplit(words[0]).netloc)
    led = {server for name in passed for server in servers.get(name, [name])}
    return {port for port in ports if led & {f"{host}:{port}" for host in NAMES}}


def open_ways(proxy: Proxy, live: Live | None, other: Live | None) -> list[str]:
    """See to it that the sockets of both slots listen, and that the link leads to the live one; return what was done.

    :raises NginxError: nginx has no worker that could connect to them.
    :raises CommandError: systemd refuses.
    """
    paths, wishes = proxy.paths, proxy.wishes
    serving, _leaving = _nginx_host.workers_of(_nginx_host.master_of(read_conf(wishes.config).directives))
    if not serving:
        raise NginxError("nginx has no worker: start it, then run this again")
    program, account = _live_socket.proxyd() or "", _live_socket.account_of(serving[0].pid)
    systemctl = Command(wishes.module, "systemctl")
    led = _live_socket.target(paths.live_socket)
    actions = []
    with proxy.guard():
        for one in filter(None, (live, other)):
            path = paths.slot_socket(one.slot)
            end = _live_socket.End(one.slot, one.port, path)
            units = _live_socket.render_units(paths.service, end, program=program, account=account)
            actions += _live_socket.open_way(units, path, wishes.places, systemctl, is_live=one.slot == led)
        if live is not None and led != live.slot:
            _live_socket.lead(paths.live_socket, live.slot)
    return actions


def take_over(proxy: Proxy) -> list[str]:
    """Have nginx connect to the link, wherever that leads: one reload, once in the life of a service.

    :raises NginxError: it does not, and all is as it was.
    """
    proof = make_proof(proxy.wishes.requests[:1], None, None)
    task = task_of(proxy, f"unix:{proxy.paths.live_socket}", proof)
    done = run(task, check_mode=False)
    if done["changed"]:
        reached("live:taken_over")
    return list(done["actions"]) if done["changed"] else []


def on_the_way(paths: Any, slot: Slot, wishes: ProxyWishes | None) -> int:
    """Return how many requests are on their way: through the slot's socket, and from workers of nginx that are leaving."""
    table = Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace")
    count = _live_socket.connections(table, paths.slot_socket(slot.name))
    if wishes is None:
        return count
    try:
        _serving, leaving = _nginx_host.workers_of(_nginx_host.master_of(read_conf(wishes.config).directives))
    except NginxError:
        return count  # nginx does not run: nobody waits for an answer from it
    if not leaving:
        return count
    tables = [Path(f"/proc/net/{name}") for name in ("tcp", "tcp6")]
    texts = [one.read_text(encoding="ascii") for one in tables if one.exists()]
    return count + _live_socket.held_by([one.pid for one in leaving], _live_socket.tcp_inodes(texts, slot.port))


def _beside(wishes: ProxyWishes, name: str) -> Path:
    return Path(wishes.config).parent / name
