# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plain dump of PostgreSQL holds, and whether it is whole: read before it is loaded. Private to this collection.

psql takes the end of a file for the end of a table: a dump that is cut off within its rows loads "well", without the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ansible_collections.runbook.ops.plugins.module_utils._pg import quote_identifier

COPY = re.compile(
    rb"COPY (?P<table>(?:\"(?:[^\"]|\"\")*\"|[^\s.(\"]+)(?:\.(?:\"(?:[^\"]|\"\")*\"|[^\s.(\"]+))?) .*FROM stdin;\s*\Z",
    re.S,
)
BEGINS = re.compile(rb"^-- PostgreSQL database dump\s*$", re.M)
ENDS = re.compile(rb"^-- PostgreSQL database dump complete\s*$", re.M)
OWNER = re.compile(rb"^ALTER .* OWNER TO ", re.M)
# What a line outside of tables' rows begins with that is looked at. Few do: the rest of the text is passed over at once.
NOTED = re.compile(
    rb"^(?:COPY [^\n]*FROM stdin;[^\n]*\n|[ \t]*\\[^\n]*\n"
    rb"|(?i:CREATE|DROP|ALTER)[ ]+(?i:DATABASE|ROLE|USER(?![ ]+MAPPING)|TABLESPACE|SYSTEM)[ ][^\n]*\n)",
    re.M,
)
HARMLESS = re.compile(rb"\\(?:un)?restrict\b")  # PostgreSQL's own programs write it since August 2025
LAST_ROW = b"\\.\n"
ORDINARY = re.compile(r"[a-z_][a-z0-9_]*\Z")


class DumpError(Exception):
    """A dump that must not be loaded; the message is one line that says why."""


@dataclass
class Scan:
    """What has been seen of a dump so far. Feed it piece by piece, then :meth:`finish`."""

    rows: dict[str, int] = field(default_factory=dict)  # by table as the dump names it
    owners: bool = False  # it says who owns what
    by_pg_dump: bool = False
    complete: bool = False
    size: int = 0
    _rest: bytes = b""
    _table: str = ""
    _line: int = 1

    def feed(self, piece: bytes) -> None:
        """Look at the next ``piece``.

        :raises DumpError: it would leave the database that is being restored.
        """
        self.size += len(piece)
        text = self._rest + piece.replace(b"\r\n", b"\n")
        cut = text.rfind(b"\n") + 1
        self._rest, text = text[cut:], text[:cut]
        at = 0
        while at < len(text):
            at = self._rows(text, at) if self._table else self._statements(text, at)

    def _rows(self, text: bytes, at: int) -> int:
        end = at if text.startswith(LAST_ROW, at) else text.find(b"\n" + LAST_ROW, at) + 1
        found = end > at or text.startswith(LAST_ROW, at)
        self.rows[self._table] += text.count(b"\n", at, end if found else len(text))
        if not found:
            return len(text)
        self._table = ""
        return end + len(LAST_ROW)

    def _statements(self, text: bytes, at: int) -> int:
        noted = NOTED.search(text, at)
        end = noted.end() if noted else len(text)
        self._words(text[at:end])
        if noted:
            self._note(noted[0])
        return end

    def _words(self, text: bytes) -> None:
        self.by_pg_dump = self.by_pg_dump or BEGINS.search(text) is not None
        self.owners = self.owners or OWNER.search(text) is not None
        self.complete = self.complete or ENDS.search(text) is not None

    def _note(self, line: bytes) -> None:
        copy = COPY.match(line)
        if copy:
            self._table = copy["table"].decode("utf-8", "replace")
            self.rows.setdefault(self._table, 0)
        elif line.lstrip().startswith(b"\\"):
            if not HARMLESS.match(line.lstrip()):
                raise DumpError(
                    f"it holds the command {_short(line)} of psql, which could leave the database that is restored: take it out"
                )
        elif line[:4] != b"COPY":
            raise DumpError(
                f"it holds {_short(b' '.join(line.split()[:3]))}, which is about the whole server: take a dump of this database alone, without --create"
            )

    def finish(self) -> Scan:
        """Return what the dump holds, now that all of it has been seen.

        :raises DumpError: it is empty, or cut off.
        """
        if self._rest.strip():
            self.feed(b"\n")
        if self._table:
            raise DumpError(
                f"it is cut off within the rows of {self._table}, after {self.rows[self._table]} of them: take another"
            )
        if self.size == 0:
            raise DumpError("it is empty: the dump failed when it was made; take another")
        if self.by_pg_dump and not self.complete:
            raise DumpError("it is cut off: the line with which pg_dump ends is missing; take another")
        return self


def scan(pieces: Iterable[bytes]) -> Scan:
    """Return what a dump holds.

    :raises DumpError: it is cut off or empty, or would leave the database that is being restored.
    """
    seen = Scan()
    for piece in pieces:
        seen.feed(piece)
    return seen.finish()


def table_name(written: str) -> str:
    """Return a table's name as a dump writes it in the way a manifest does: only what needs quotes has them."""
    parts = re.findall(r"\"((?:[^\"]|\"\")*)\"|([^.\"]+)", written)
    bare = [quoted.replace('""', '"') or plain for quoted, plain in parts]
    return ".".join(one if ORDINARY.match(one) else quote_identifier(one) for one in bare)


def _short(line: bytes) -> str:
    text = line.decode("utf-8", "replace").strip()
    return repr(text if len(text) <= 60 else text[:57] + "...")
