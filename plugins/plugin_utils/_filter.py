# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What filters do alike: their errors name the filter. Private to this collection; runs on the controller only."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from ansible.errors import AnsibleFilterError

Filter = TypeVar("Filter", bound=Callable[..., object])


def takes(what: str) -> Callable[[Filter], Filter]:
    """Return a decorator for a filter that takes ``what``: an error says what is wrong with its value, or that it takes something else."""

    def decorate(function: Filter) -> Filter:
        name = f"runbook.ops.{function.__name__}"

        @wraps(function)
        def door(*arguments: Any, **options: Any) -> object:
            try:
                return function(*arguments, **options)
            except ValueError as exc:
                raise AnsibleFilterError(f"{name}: {exc}") from exc
            except (AttributeError, KeyError, TypeError) as exc:
                raise AnsibleFilterError(f"{name}: takes {what} ({type(exc).__name__}: {exc})") from exc

        return cast("Filter", door)

    return decorate


takes_description = takes("the description that the role system registers")
