# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a maintenance window does, kind by kind, and how each is undone. Private to this collection.

What was so before is looked at first, and is not undone later. Undoing may be asked for twice, and of a step that was begun only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._alert_silence import Work, is_needed, silence, speak
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import StateError
from ansible_collections.runbook.ops.plugins.module_utils._http import HttpError
from ansible_collections.runbook.ops.plugins.module_utils._queue_pause import QueueError, pause, paused, resume
from ansible_collections.runbook.ops.plugins.module_utils._silence import SilenceError
from ansible_collections.runbook.ops.plugins.module_utils._window_journal import WindowError
from ansible_collections.runbook.ops.plugins.module_utils._writers import Writers, WritersError

WORK = "maintenance-window"
Step = dict[str, Any]


class Hands:
    """What does and undoes the steps on this host."""

    def __init__(self, module: Any, *, start_seconds: float = 120.0) -> None:
        self.writers, self._start_seconds = Writers(module), start_seconds
        self._look: dict[str, Callable[[Step, Mapping[str, str]], Step]] = {
            "silence": lambda step, _secrets: {**step, "ours": is_needed(_work(step))},
            "page": lambda step, _secrets: {**step, "ours": not Path(step["flag"]).exists()},
            "queue": _see,
            "services": self._see,
        }
        self._do: dict[str, Callable[[Step, Mapping[str, str]], Step]] = {
            "silence": _silence,
            "page": lambda step, _secrets: step,  # it is shown by whoever proves it, after it stands here
            "queue": _pause,
            "services": self._stop,
        }
        self._undo: dict[str, Callable[[Step, Mapping[str, str]], None]] = {
            "silence": _speak,
            "page": _hide,
            "queue": _resume,
            "services": self._start,
        }

    def look(self, step: Step, secrets: Mapping[str, str]) -> Step:
        """Return ``step`` with whether it is ours to do and to undo, and what is needed for that.

        :raises WindowError: it cannot be told.
        """
        try:
            return self._look[step["kind"]](step, secrets)
        except (QueueError, WritersError) as exc:
            raise WindowError(str(exc)) from exc

    def do(self, step: Step, secrets: Mapping[str, str]) -> Step:
        """Do ``step``, and return it with what undoing it needs.

        :raises WindowError: it could not be done.
        """
        try:
            return self._do[step["kind"]](step, secrets)
        except (HttpError, SilenceError, StateError, QueueError, WritersError) as exc:
            raise WindowError(str(exc)) from exc

    def undo(self, step: Step, secrets: Mapping[str, str]) -> None:
        """Undo ``step``.

        :raises WindowError: it could not be undone.
        """
        try:
            self._undo[step["kind"]](step, secrets)
        except OSError as exc:
            raise WindowError(f"cannot remove {step.get('flag')}: {exc.strerror}; users see the page") from exc
        except (HttpError, SilenceError, StateError, QueueError, WritersError) as exc:
            raise WindowError(str(exc)) from exc

    def _see(self, step: Step, _secrets: Mapping[str, str]) -> Step:
        services = self.writers.look(step["services"])
        return {**step, "services": services, "ours": bool(services)}

    def _stop(self, step: Step, _secrets: Mapping[str, str]) -> Step:
        self.writers.stop(step["services"])
        return step

    def _start(self, step: Step, _secrets: Mapping[str, str]) -> None:
        self.writers.start(step["services"], self._start_seconds)


def _work(step: Step) -> Work:
    return Work(WORK, step.get("run", ""), step["reason"], step["by"], step["url"])


def _silence(step: Step, _secrets: Mapping[str, str]) -> Step:
    made = silence(_work(step), step["seconds"])
    return {**step, "id": made.id if made else None}


def _speak(step: Step, _secrets: Mapping[str, str]) -> None:
    speak(_work(step), step.get("id"))  # a silence of Alertmanager that was begun only ends by itself


def _hide(step: Step, _secrets: Mapping[str, str]) -> None:
    Path(step["flag"]).unlink(missing_ok=True)


def _see(step: Step, secrets: Mapping[str, str]) -> Step:
    queue = step["queue"]
    state = paused(queue, secrets.get(queue.get("password") or ""))
    if state is None:
        raise WindowError(
            f"queue {queue['queue']}: Redis knows no such queue: correct its name or prefix in ops_queues"
        )
    return {**step, "ours": not state}


def _pause(step: Step, secrets: Mapping[str, str]) -> Step:
    pause(step["queue"], secrets.get(step["queue"].get("password") or ""))
    return step


def _resume(step: Step, secrets: Mapping[str, str]) -> None:
    resume(step["queue"], secrets.get(step["queue"].get("password") or ""))
