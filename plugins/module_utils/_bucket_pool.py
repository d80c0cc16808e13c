# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on many things side by side, hand on the results in order, and hold few of them. Private to this collection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 4  # things that are worked on or wait, for each thread


def in_order(
    jobs: int,
    items: Iterable[Item],
    work: Callable[[Item], Result],
    *,
    skip: Callable[[Item], Result | None] = lambda _item: None,
    give_up: Callable[[], None] = lambda: None,
) -> Iterator[Result]:
    """Yield what ``work`` makes of each of ``items``, ``jobs`` at a time. The first error ends it.

    :param skip: returns what is known of an item without work
    :param give_up: called at the first error, so that what is still being worked on ends soon
    """
    waiting: deque[Future[Result] | tuple[Result]] = deque()
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            for item in items:
                known = skip(item)
                waiting.append(pool.submit(work, item) if known is None else (known,))
                if len(waiting) > AHEAD * jobs:
                    yield _result(waiting.popleft())
            while waiting:
                yield _result(waiting.popleft())
        except BaseException:
            give_up()
            for one in waiting:
                if isinstance(one, Future):
                    one.cancel()
            raise


def _result(one: Future[Result] | tuple[Result]) -> Result:
    return one.result() if isinstance(one, Future) else one[0]
