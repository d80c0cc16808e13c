# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx's files hold so that a page can stand before an application, and how they lose it again. Private to this collection.

The page is shown by a file that exists: nginx looks for it at each request, so that no reload is needed, and no connection closes.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import Directive, NginxError, walk
from ansible_collections.runbook.ops.plugins.module_utils._nginx_edits import Edits
from ansible_collections.runbook.ops.plugins.module_utils._nginx_plan import PASSES, Conf, Plan, refuse_unread

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
PATH = re.compile(r"/[^\s\"'\\;{}$]*\Z")
HEAD = "# Written by runbook.ops nginx_maintenance. Whether the page is shown is said by {flag} alone.\n"
DEFAULT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Maintenance</title>
<h1>We are at work</h1>
<p>Please try again in a few minutes.</p>
</html>
"""


@dataclass(frozen=True)
class Wish:
    """The page before one system."""

    name: str
    flag: str
    server_names: tuple[str, ...]  # of the server blocks; all that pass requests on where empty
    page: str
    retry_after: int  # seconds
    allow: tuple[str, ...]  # addresses and networks that see the application all the same
    open_paths: tuple[str, ...]  # that stay reachable; a '*' at the end stands for everything below
    http_file: str
    server_file: str
    page_file: str


def check_wish(wish: Wish) -> None:
    """Raise ValueError with the first thing that is wrong."""
    if not NAME.match(wish.name):
        raise ValueError(f"name is {wish.name!r}: use letters, digits, '_', '.' and '-'")
    for key, path in (("flag", wish.flag), *(("open_paths", path) for path in wish.open_paths)):
        if not PATH.match(path):
            raise ValueError(f"{key} holds {path!r}: give an absolute path without blanks, quotes and $")
    for network in wish.allow:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as exc:
            raise ValueError(f"allow holds {network!r}: give an address or a network, such as 10.1.0.0/16") from exc


def texts_of(wish: Wish) -> dict[str, str]:
    """Return the files that the page needs."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", wish.name)
    head = HEAD.format(flag=wish.flag)
    guests = "".join(f"    {network} 0;\n" for network in wish.allow)
    paths = "".join(f'    "{_pattern(path)}" 0;\n' for path in wish.open_paths)
    return {
        wish.page_file: wish.page,
        wish.http_file: f"{head}geo $runbook_ops_guest_{name} {{\n    default 1;\n{guests}}}\n"
        f"map $uri $runbook_ops_closed_{name} {{\n    default 1;\n{paths}}}\n",
        wish.server_file: head
        + f'set $runbook_ops_page_{name} "$runbook_ops_guest_{name}$runbook_ops_closed_{name}";\n'
        + f'if (-f "{wish.flag}") {{\n    set $runbook_ops_page_{name} "${{runbook_ops_page_{name}}}1";\n}}\n'
        + f"if ($runbook_ops_page_{name} = 111) {{\n    rewrite ^ /.runbook_ops_page_{name} last;\n}}\n"
        # In a location of its own: an error_page of the server would take the place of those that it inherits.
        + f"location = /.runbook_ops_page_{name} {{\n    internal;\n    error_page 503 @runbook_ops_page_{name};\n    return 503;\n}}\n"
        + f"location @runbook_ops_page_{name} {{\n    internal;\n    default_type text/html;\n"
        + f"    add_header Retry-After {wish.retry_after} always;\n    add_header Cache-Control no-store always;\n"
        + f'    root "{wish.page_file.rpartition("/")[0]}";\n    try_files "/{wish.page_file.rpartition("/")[2]}" =503;\n}}\n',
    }


def plan_ready(wish: Wish, conf: Conf) -> Plan:
    """Return how nginx comes to look for the flag.

    :raises NginxError: there is no server that passes requests on, or nginx would not read what is written.
    """
    refuse_unread(wish.http_file, conf, option="http_file")
    edits = Edits(conf.texts)
    actions = []
    servers = _servers(wish, conf)
    for server in servers:
        if server.opened is not None and not _included(server, wish.server_file):
            edits.put(server.file, (server.opened, server.opened), f"\n    include {wish.server_file};")
            actions.append(f"{server.place}: the server looks for {wish.flag}")
    files: dict[str, str | None] = dict(edits.files())
    for path, text in texts_of(wish).items():
        if conf.texts.get(path) != text:
            files[path] = text
            actions.append(f"{path} is {'replaced' if path in conf.texts else 'added'}")
    return Plan(files, actions, [])


def plan_absent(wish: Wish, conf: Conf) -> Plan:
    """Return how nginx's files lose what :func:`plan_ready` gave them."""
    edits = Edits(conf.texts)
    actions = []
    for directive, _above in walk(conf.directives):
        for found in _included(directive, wish.server_file):
            text = conf.texts[directive.file]
            start = len(text[: found.name.start].rstrip())
            edits.put(directive.file, (start, found.end), "")
            actions.append(f"{directive.place}: the server no longer looks for {wish.flag}")
    files: dict[str, str | None] = dict(edits.files())
    for path in (wish.server_file, wish.http_file, wish.page_file):
        if path in conf.texts:
            files[path] = None
            actions.append(f"{path} is removed")
    return Plan(files, actions, [])


def _servers(wish: Wish, conf: Conf) -> list[Directive]:
    """Return the server blocks that the page stands before.

    :raises NginxError: there is none.
    """
    found = [
        directive
        for directive, above in walk(conf.directives)
        if directive.name.text == "server" and directive.opened is not None and above and above[0].name.text == "http"
    ]
    names = {
        id(server): [word for inner in server.block if inner.name.text == "server_name" for word in inner.texts()]
        for server in found
    }
    if wish.server_names:
        missing = set(wish.server_names) - {name for known in names.values() for name in known}
        if missing:
            known = sorted({name for listed in names.values() for name in listed})
            raise NginxError(
                f"no server has the name {', '.join(sorted(missing))}; there are {', '.join(known) or 'none'}"
            )
        return [server for server in found if set(names[id(server)]) & set(wish.server_names)]
    passing = [server for server in found if any(inner.name.text in PASSES for inner, _above in walk(server.block))]
    if not passing:
        raise NginxError("no server of nginx passes requests on: there is nothing that a page could stand before")
    return passing


def _included(directive: Directive, file: str) -> list[Directive]:
    return [inner for inner in directive.block if inner.name.text == "include" and inner.texts() == [file]]


def _pattern(path: str) -> str:
    if path.endswith("*"):
        return "~^" + re.sub(r"([.+?()\[\]|^*])", r"\\\1", path[:-1])
    return path
