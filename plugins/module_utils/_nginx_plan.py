# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to change in nginx's files so that an upstream is ours, points somewhere else, or is the user's again.

Only one small file is written at a switch: the servers of the upstream. What includes it is written once. Private to this collection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import Directive, NginxError, Word, walk
from ansible_collections.runbook.ops.plugins.module_utils._nginx_edits import Edits

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
SERVER = re.compile(r"(?:unix:/[^\s;{}\"'$\\#:]+|(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):[0-9]{1,5})\Z")
PASS = re.compile(r"(?P<scheme>(?:https?|grpcs?)://)(?P<server>unix:[^:]+|\[[^\]]*\](?::[0-9]+)?|[^/:]+(?::[0-9]+)?)")
PASSES = ("proxy_pass", "grpc_pass")
HEAD = "# Written by runbook.ops nginx_upstream: which servers the upstream {name} has. The next switch replaces it.\n"
BLOCK = "# Written by runbook.ops nginx_upstream.\nupstream {name} {{\n    include {path};\n}}\n"


@dataclass(frozen=True)
class Wish:
    """One upstream, as it is to be."""

    name: str
    servers: tuple[str, ...]
    replaces: tuple[str, ...]  # addresses that stand in the configuration and are to be this upstream
    file: str  # holds the servers
    block_file: str  # holds the block around them, where the configuration has none
    drops: tuple[str, ...] = ()  # directives of a block written by hand that must not stand beside these servers


@dataclass(frozen=True)
class Conf:
    """The configuration as nginx would read it now."""

    directives: list[Directive]
    texts: Mapping[str, str]  # by file
    would_read: Callable[[str, str], bool]  # a pattern of include, and a file


@dataclass(frozen=True)
class Plan:
    """The text that each file is to have, None where it is to go, and what that means in words."""

    files: dict[str, str | None]
    actions: list[str]
    notes: list[str]


def check_wish(wish: Wish) -> None:
    """Raise ValueError with the first thing that is wrong."""
    if not NAME.match(wish.name):
        raise ValueError(f"name is {wish.name!r}: use letters, digits, '_', '.' and '-'")
    for key, values in (("servers", wish.servers), ("replaces", wish.replaces)):
        for value in values:
            if not SERVER.match(value):
                raise ValueError(f"{key} holds {value!r}: give host:port or unix:/path")


def servers_of(text: str | None) -> list[str]:
    """Return the servers that a file of ours names; none where there is no file."""
    return re.findall(r"^server (\S+);$", text or "", re.MULTILINE)


def plan_present(wish: Wish, conf: Conf) -> Plan:
    """Return how the upstream comes to have these servers.

    :raises NginxError: the configuration says something that is not understood, and where.
    """
    edits = Edits(conf.texts)
    notes: list[str] = []
    actions = _wire(wish, conf, edits)
    uses = 0
    for directive, above in walk(conf.directives):
        if directive.name.text not in PASSES or not directive.arguments:
            continue
        word = directive.arguments[0]
        match = PASS.match(word.text)
        if match is None:
            continue
        if match["server"] == wish.name:
            uses += 1
        elif match["server"] in wish.replaces:
            uses += 1
            edits.put(directive.file, _part(word, match.span("server"), directive), wish.name)
            actions.append(f"{directive.place}: {directive.name.text} to {match['server']} becomes {wish.name}")
            notes += _host_note(directive, above, match["server"])
    if not uses:
        raise NginxError(
            f"nothing in the configuration passes requests to {' or '.join([wish.name, *wish.replaces])}: "
            "give in replaces the address that stands there now"
        )
    _refuse_others(wish, conf, edits)
    files = edits.files()
    text = HEAD.format(name=wish.name) + "".join(f"server {server};\n" for server in wish.servers)
    if conf.texts.get(wish.file) != text:
        files[wish.file] = text
        before = servers_of(conf.texts.get(wish.file))
        told = f" instead of {', '.join(before)}" if before else ""
        actions.append(f"{wish.name} points to {', '.join(wish.servers)}{told}")
    return Plan(files, actions, notes)


def plan_absent(wish: Wish, conf: Conf) -> Plan:
    """Return how the configuration gets the address back that the upstream points to now, and loses what was written here.

    :raises NginxError: it has several, so that no address can stand for it.
    """
    servers = servers_of(conf.texts.get(wish.file))
    if not servers:
        return Plan({}, [], [])
    edits = Edits(conf.texts)
    actions = []
    keeps_block = False
    for directive, _above in walk(conf.directives):
        if directive.name.text == "include" and directive.texts() == [wish.file] and directive.file != wish.block_file:
            keeps_block = True
            line = " ".join(f"server {server};" for server in servers)
            edits.put(directive.file, (directive.name.start, directive.end), line)
            actions.append(f"{directive.place}: the upstream names {', '.join(servers)} itself")
    for directive, _above in () if keeps_block else walk(conf.directives):
        if directive.name.text in PASSES and directive.arguments:
            match = PASS.match(directive.arguments[0].text)
            if match and match["server"] == wish.name:
                if len(servers) > 1:
                    raise NginxError(f"{wish.name} has {len(servers)} servers: switch it to one, then take it back")
                edits.put(directive.file, _part(directive.arguments[0], match.span("server"), directive), servers[0])
                actions.append(f"{directive.place}: {directive.name.text} to {wish.name} becomes {servers[0]}")
    files: dict[str, str | None] = dict(edits.files())
    files.update({path: None for path in (wish.block_file, wish.file) if path in conf.texts})
    return Plan(files, [*actions, f"{wish.name} is no longer an upstream of runbook.ops"], [])


def _wire(wish: Wish, conf: Conf, edits: Edits) -> list[str]:
    """See to it that an upstream of this name takes its servers from our file; return what that changes."""
    blocks = [found for found, _above in walk(conf.directives) if _is_upstream(found, wish.name)]
    if len(blocks) > 1:
        raise NginxError(f"{blocks[1].place}: a second upstream {wish.name}; the first is at {blocks[0].place}")
    if not blocks:
        refuse_unread(wish.block_file, conf, option="block_file")
        edits.new[wish.block_file] = BLOCK.format(name=wish.name, path=wish.file)
        return [f"{wish.block_file}: upstream {wish.name} is added"]
    (block,) = blocks
    actions = []
    for inner in block.block:
        if inner.name.text in wish.drops:
            edits.put(inner.file, (inner.name.start, inner.end), "")
            actions.append(f"{inner.place}: {inner.name.text} goes from upstream {wish.name}")
    if any(inner.name.text == "include" and inner.texts() == [wish.file] for inner in block.block):
        return actions
    servers = [inner for inner in block.block if inner.name.text == "server" and inner.file == block.file]
    for server in servers:
        address = server.arguments[0].text if server.arguments else ""
        if address not in wish.replaces:
            raise NginxError(
                f"{server.place}: upstream {wish.name} has the server {address}, which replaces does not name"
            )
    if not servers:
        raise NginxError(f"{block.place}: upstream {wish.name} names no server in this file")
    for number, server in enumerate(servers):
        edits.put(block.file, (server.name.start, server.end), "" if number else f"include {wish.file};")
    return [*actions, f"{block.place}: upstream {wish.name} takes its servers from {wish.file}"]


def named_upstream(conf: Conf, servers: Sequence[str]) -> str | None:
    """Return the name of the only upstream whose block names one of ``servers``; None where none, or more than one, does."""
    found = {
        block.texts()[0]
        for block, _above in walk(conf.directives)
        if block.name.text == "upstream" and len(block.arguments) == 1
        for inner in block.block
        if inner.name.text == "server" and inner.texts()[:1] and inner.texts()[0] in servers
    }
    return found.pop() if len(found) == 1 else None


def _is_upstream(directive: Directive, name: str) -> bool:
    return directive.name.text == "upstream" and directive.texts() == [name] and directive.opened is not None


def refuse_unread(file: str, conf: Conf, *, option: str) -> None:
    """Refuse a file that nginx would not read in its ``http`` block.

    :raises NginxError: it would not, and which option to set.
    """
    http = [found for found in conf.directives if found.name.text == "http" and found.opened is not None]
    if not http:
        raise NginxError("the configuration has no http block: is config the file that nginx is started with?")
    inner = [found for block in http for found in block.block if found.name.text == "include" and found.arguments]
    patterns = [found.texts()[0] for found in inner]
    if not any(conf.would_read(pattern, file) for pattern in patterns):
        raise NginxError(
            f"nginx would not read {file}: its http block includes {', '.join(patterns) or 'nothing'}; set {option}"
        )


def _refuse_others(wish: Wish, conf: Conf, edits: Edits) -> None:
    """Refuse an address that stands where it is not understood: one site must not go on with the old server unseen."""
    if not wish.replaces:
        return
    address = re.compile("|".join(rf"(?<![A-Za-z0-9_.-]){re.escape(found)}(?![0-9])" for found in wish.replaces))
    for directive, _above in walk(conf.directives):
        for word in directive.arguments if directive.file != wish.file else ():
            if address.search(word.text) and not edits.covers(directive.file, word):
                raise NginxError(
                    f"{directive.place}: {directive.name.text} names {address.search(word.text).group()} in a way that is not "  # type: ignore[union-attr]
                    "understood here; pass to it directly, or by an upstream of its own"
                )


def _part(word: Word, span: tuple[int, int], directive: Directive) -> tuple[int, int]:
    """Return where a part of ``word`` stands in the file.

    :raises NginxError: the word is written with escapes, so that its places differ.
    """
    if word.end - word.start != len(word.text):
        raise NginxError(f"{directive.place}: {directive.name.text} is written with a backslash; write it without")
    return word.start + span[0], word.start + span[1]


def _host_note(directive: Directive, above: Sequence[Directive], server: str) -> list[str]:
    """Say where the application will see another Host: nginx sends the name that stands in proxy_pass, unless told otherwise."""
    for block in reversed(above):
        headers = [inner for inner in block.block if inner.name.text in ("proxy_set_header", "grpc_set_header")]
        if headers:  # those of outer blocks do not count beside them
            if any(inner.texts()[:1] == ["Host"] or inner.texts()[:1] == ["host"] for inner in headers):
                return []
            break
    return [
        f"{directive.place}: no proxy_set_header Host, so the application saw Host: {server} and now sees the upstream's name"
    ]
