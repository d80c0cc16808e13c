# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give a collection's name to what was restored beside it, and back. Private to this collection.

A name is that of a namespace, ``database.collection``. Within one database the server renames at once and copies nothing; it has no
exchange of two names. Each step looks at what is there, by the identity that a rename does not change, and goes on from any moment at
which the one before may have been killed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._mongo import Mongo
from ansible_collections.runbook.ops.plugins.module_utils._mongo_server import (
    ANSWER_SECONDS,
    Place,
    everything,
)
from ansible_collections.runbook.ops.plugins.module_utils._store_backup import StoreError

KEPT_SECONDS = ANSWER_SECONDS / 2  # that a connection is used: a login takes longer than a rename
# A rename waits for the transactions of whoever was killed: the server ends them after 60 s. It has to give up before we do, or it would
# rename after we have gone back.
RENAME_SECONDS = 75.0
CONNECTION_SECONDS = KEPT_SECONDS + RENAME_SECONDS + 15  # what the last rename needs, and its answer


class Names:
    """The names of one server's collections."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._server: Mongo | None = None
        self._since = 0.0

    def _ask(self, what: Callable[[Mongo], Any]) -> Any:
        """Return what comes of ``what``, asked over a connection that is kept for a while.

        :raises StoreError: the server does not serve, or not us.
        """
        with self._place.explained():
            if self._server is None or time.monotonic() - self._since > KEPT_SECONDS:
                server = Mongo(self._place.host, self._place.port, timeout_seconds=CONNECTION_SECONDS)
                self._place.log_in(server)
                self._server, self._since = server, time.monotonic()
            try:
                return what(self._server)
            except BaseException:
                self._server = None
                raise

    def identify(self, name: str) -> str | None:
        """Return what tells two collections of one name apart; None where there is none."""
        database, _dot, collection = name.partition(".")
        found = self._ask(lambda server: everything(server, database, collection))
        return next((one.identity or one.name for one in found if one.name == collection), None)

    def put_in_place(self, item: Mapping[str, Any]) -> None:
        """Give the live name to what was restored, and keep what had it under ``before``.

        :raises StoreError: something else has taken one of the names meanwhile.
        """
        live = self.identify(item["live"])
        if live is not None and live == item["new_id"]:
            return
        if live is not None:
            if live != item["old_id"]:
                raise StoreError(
                    f"somebody has made {item['live']} anew meanwhile: look at it, then revert this restore"
                )
            self._rename(item["live"], item["before"])
            reached("mongo_names:away")
        if item["new_id"] is not None:
            self._rename(item["new"], item["live"])

    def go_back(self, item: Mapping[str, Any]) -> None:
        """Give the live name back to what had it, and keep what was restored under ``failed``."""
        live, before = self.identify(item["live"]), self.identify(item["before"])
        if live is not None and live != item["old_id"] and (before is not None or live == item["new_id"]):
            self._rename(item["live"], item["failed"])  # also what somebody has made anew meanwhile
            reached("mongo_names:back")
        if before is not None:
            self._rename(item["before"], item["live"])
        if self.identify(item["new"]) is not None and self.identify(item["failed"]) is None:
            self._rename(item["new"], item["failed"])  # it was never put in place

    def remove(self, name: str) -> None:
        """Drop a collection; nothing where it is gone."""
        if self.identify(name) is not None:
            database, _dot, collection = name.partition(".")
            self._ask(lambda server: server.command(database, "drop", collection))

    def _rename(self, source: str, target: str) -> None:
        limit = int(RENAME_SECONDS * 1000)
        self._ask(lambda server: server.command("admin", "renameCollection", source, to=target, maxTimeMS=limit))
