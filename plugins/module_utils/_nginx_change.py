# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of nginx that change together: tested, taken by nginx, proven, or put back. Private to this collection."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple, NoReturn

from ansible_collections.runbook.ops.plugins.module_utils import _nginx_host
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import NginxError
from ansible_collections.runbook.ops.plugins.module_utils._nginx_files import Change, changed_at, keep_copies, read_conf
from ansible_collections.runbook.ops.plugins.module_utils._nginx_plan import Conf, Plan

PROOFS = 3  # answers in a row
PAUSE_SECONDS = 0.05

Look = Callable[[], "str | None"]  # what is wrong; None where nothing is


class Nginx(NamedTuple):
    """How nginx is asked."""

    test: Look  # what nginx -t objects to
    prove: Look | None  # what is wrong with the answer to a request
    proof_seconds: float
    guard: Callable[[], AbstractContextManager[None]] = nullcontext  # held while files change: who may, at that moment


class Place(NamedTuple):
    """Where a module writes: files of its own, in an order in which none names one that is not there, and beside them."""

    config: str  # the file that nginx begins with
    ours: tuple[str, ...]
    copies: Path  # where files of others are kept as they were before they were edited
    page: str | None = None  # that of ours which nginx reads at each request, and not when it is reloaded


class Seen(NamedTuple):
    """What nginx's files say, and what has to change."""

    conf: Conf
    plan: Plan
    stale: bool  # nginx has yet to take what is there
    killed: dict[str, str | None]  # files as they were before a change that was cut off


def look(
    change: Change, place: Place, nginx: Nginx, plan_of: Callable[[Conf], Plan], *, is_wanted: bool, check_mode: bool
) -> Seen:
    """Return what has to change; what was cut off between two files that belong together is put back before.

    :param is_wanted: whether our files are to be there afterwards
    :raises NginxError: the configuration is not understood, or nginx does not run.
    """
    killed = change.pending()
    if killed is not None and not check_mode and nginx.test():
        with nginx.guard():
            change.put_back(killed)
    conf = read_conf(place.config, *place.ours)
    plan = plan_of(conf)
    master = _nginx_host.master_of(conf.directives)
    taken = changed_at([path for path in place.ours if path != place.page])
    stale = killed is not None or (is_wanted and not _nginx_host.has_taken(master, taken))
    if stale and not plan.files:
        plan.actions.append("nginx takes the configuration that it has not taken yet")
    return Seen(conf, plan, stale, killed or {})


def write(
    change: Change, place: Place, nginx: Nginx, seen: Seen, *, is_wanted: bool
) -> tuple[list[str], list[int], float]:
    """Keep copies of files of others, and carry the plan out; return the copies, and what :func:`carry_out` returns.

    :raises NginxError: it cannot be done; all is as it was.
    """
    rank = {path: number for number, path in enumerate(place.ours)}
    files = dict(sorted(seen.plan.files.items(), key=lambda item: rank.get(item[0], len(rank)), reverse=not is_wanted))
    others = {path: text for path, text in files.items() if path not in rank}
    copies = keep_copies(place.copies, others, seen.conf)
    old, seconds = carry_out(change, seen.conf, files, nginx, killed=seen.killed)
    return copies, old, seconds


def carry_out(
    change: Change, conf: Conf, files: Mapping[str, str | None], nginx: Nginx, *, killed: Mapping[str, str | None]
) -> tuple[list[int], float]:
    """Replace ``files``, in their order, and return the workers that served before, and how long it took, in seconds.

    :param killed: files as they were before a change that was cut off: the way back leads there
    :raises NginxError: it cannot be done; the files are as they were, and nginx serves what it served.
    """
    broken = nginx.test()
    if broken:
        raise NginxError(f"nginx -t fails before anything is changed: {broken}")
    began = time.monotonic()
    master = _nginx_host.master_of(conf.directives)
    with nginx.guard():
        before = change.make(files, conf, killed)
        try:
            wrong = nginx.test()
            if wrong:
                raise NginxError(f"nginx -t: {wrong}")
            reached("nginx_change:tested")
            old = _nginx_host.reload(master)
        except NginxError as exc:
            _return(change, before, nginx, master, exc)
    reached("nginx_change:reloaded")
    seconds = round(time.monotonic() - began, 3)
    try:
        prove(nginx)
    except NginxError as exc:
        with nginx.guard():
            _return(change, before, nginx, master, exc)
    change.done()
    reached("nginx_change:proven")
    return old, seconds


def prove(nginx: Nginx) -> None:
    """Ask until the answer is right a few times in a row.

    :raises NginxError: it is not in time, asked more than once: on a busy host one answer alone may take all of it.
    """
    if nginx.prove is None:
        return
    end, good, bad = time.monotonic() + nginx.proof_seconds, 0, 0
    while good < PROOFS:
        wrong = nginx.prove()
        good = 0 if wrong else good + 1
        bad += wrong is not None
        if wrong and bad > 1 and time.monotonic() >= end:
            raise NginxError(f"the request through nginx is not answered as it should be: {wrong}")
        if good < PROOFS:
            time.sleep(PAUSE_SECONDS)


def _return(change: Change, before: Mapping[str, str | None], nginx: Nginx, master: int, why: NginxError) -> NoReturn:
    """Put the files back, have nginx serve what it served before, and raise ``why``."""
    change.put_back(before)
    wrong = nginx.test()
    if wrong:
        raise NginxError(f"{why}; the files are as before, but nginx -t fails now: {wrong}") from why
    try:
        _nginx_host.reload(master)
    except NginxError as exc:
        raise NginxError(f"{why}; the files are as before, but {exc}") from why
    raise NginxError(f"{why}; nginx serves as before") from why
