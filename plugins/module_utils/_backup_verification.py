# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the backups of a set again, restore them as a test, and write down the proof. Private to this collection.

A proof that no longer holds is taken away before anything else is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import check, read_proof, write_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import (
    PROOF,
    Backup,
    SetError,
    list_backups,
    set_name,
    strays,
    sync_directory,
)
from ansible_collections.runbook.ops.plugins.module_utils._backup_verify_plan import (
    Look,
    due_drills,
    judge,
    known_files,
    write_time,
)
from ansible_collections.runbook.ops.plugins.module_utils._backup_verify_told import Told, told
from ansible_collections.runbook.ops.plugins.module_utils._drill_index import DRILLS
from ansible_collections.runbook.ops.plugins.module_utils._failpoint import reached
from ansible_collections.runbook.ops.plugins.module_utils._units import parse_duration, parse_size


class Verification:
    """One look at the backups of a set."""

    def __init__(self, params: Mapping[str, Any], *, now: datetime, check_mode: bool) -> None:
        """Understand the options.

        :raises ValueError: one cannot be meant.
        """
        self.params, self.now, self.check_mode = params, now, check_mode
        self.directory, self.prefix = Path(params["directory"]), params["set"]
        set_name(self.prefix, now)
        self.max_age = seconds_of(params["max_age"])
        self.drill_max_age = seconds_of(params["drill_max_age"])
        self.reread_seconds = seconds_of(params["reread_after"])
        self.options = {**params, "amcheck_bytes": parse_size(params["amcheck_max_size"])}
        self.told = Told()
        self.bytes_read = 0
        self.unwritten: list[str] = []  # proofs that could not be

    def run(self) -> dict[str, Any]:
        """Look at all of them.

        :raises SetError: the directory cannot be read, or a proof not be changed.
        """
        names = self.params["names"]
        found = [one for one in list_backups(self.directory, self.prefix) if names is None or one.name in names]
        damaged = strays(self.directory, self.prefix)
        damaged = {name: why for name, why in damaged.items() if names is None or name in names}
        gone = {name: f"{self.directory / name} is not there" for name in names or []}
        for known in (*damaged, *(one.name for one in found)):
            gone.pop(known, None)
        looks = [look for look in map(self.look, found) if look is not None]
        if self.params["drill"]:
            which = self.params["drill_backups"]
            for look in due_drills(looks, which=which, max_age=self.drill_max_age, now=self.now):
                self.drill(look)
        checks = judge(
            looks,
            {**damaged, **gone},
            prefix=self.prefix,
            directory=str(self.directory),
            now=self.now,
            max_age=self.max_age,
            drill_max_age=self.drill_max_age,
            drilled=self.params["drill"],
        )
        problems = [f"{one['name']}: {one['detail']}" for one in checks if one["status"] == "critical"]
        if self.unwritten:
            more = f" (and {len(self.unwritten) - 1} more)" if len(self.unwritten) > 1 else ""
            raise SetError("; ".join([self.unwritten[0] + more, *problems]))
        return {
            "changed": bool(self.told.changes),
            "actions": [f"{one['action']} {one['thing']}: {one['reason']}" for one in self.told.changes],
            "backups": [told(look) for look in looks],
            "bytes_read": self.bytes_read,
            "problems": problems,
            "checks": checks,
            "changes": self.told.changes,
            "diff": {"before": "".join(self.told.before), "after": "".join(self.told.after)},
        }

    def look(self, backup: Backup) -> Look | None:
        """Read what is due of ``backup``, and write its proof, or take it away. None: somebody has removed the backup meanwhile."""
        proof = read_proof(backup)
        look = Look(backup, proof, drill=(proof or {}).get("drill"), failed_drill=(proof or {}).get("failed_drill"))
        known = known_files(proof, now=self.now, reread_seconds=self.reread_seconds)
        began = time.monotonic()
        checked = check(backup, known=known)
        if not backup.path.is_dir():
            return None
        self.bytes_read += checked.bytes_read
        look.problems, look.checked = checked.problems, True
        if look.problems:
            if (backup.path / PROOF).exists():
                self.told.say(
                    backup, "withdraw the proof of", "; ".join(look.problems[:3]), before="verified", after="damaged"
                )
                self.act(lambda: _withdraw(backup), f"{backup.name} is damaged ({look.problems[0]}): never restore it")
            look.drill = look.failed_drill = None
        elif proof is None or checked.files != proof.get("files") or not known:
            reason = "it is new" if proof is None else "it was written to" if known else "it was read long ago"
            seconds = round(time.monotonic() - began, 3)
            before = "not verified" if proof is None else "to be verified again"
            self.told.say(
                backup, "verify", reason, before=before, after="verified", size=checked.bytes_read, seconds=seconds
            )
            whole = not set(known) & set(checked.files)
            read_at = write_time(self.now) if whole else (proof or {}).get("read_at")
            look.proof = {**(proof or {}), "files": checked.files, "read_at": read_at}
            self.write(look)
        return look

    def drill(self, look: Look) -> None:
        """Restore one backup as a test. In check mode say so."""
        backup = look.backup
        last = (look.drill or {}).get("at")
        reason = f"the last was at {last}" if last else "it has not been restored yet"
        if self.check_mode:
            look.foreseen = True
            self.told.say(backup, "restore as a test", reason, before=reason, after="restored and compared")
            return
        told = {"at": write_time(self.now), **self.tried(backup)}
        passed = bool(told.get("passed")) and not told.get("differences")
        said = "restored and compared" if passed else "not restorable as it was saved"
        self.told.say(backup, "restore as a test", reason, before=reason, after=said, seconds=told.get("seconds"))
        look.drill, look.failed_drill = (told, None) if passed else (look.drill, {**told, "passed": False})
        self.write(look)

    def tried(self, backup: Backup) -> dict[str, Any]:
        """Return what came of a test restore, whatever kept it from an end."""
        kind = str(backup.manifest.get("kind"))
        began = time.monotonic()
        failed: dict[str, Any] = {"kind": kind, "passed": False}
        if kind not in DRILLS:
            known = ", ".join(sorted(DRILLS))
            return {**failed, "differences": [f"nothing here restores the kind {kind} as a test: known are {known}"]}
        try:
            return DRILLS[kind]()(backup, self.options)
        except Exception as exc:  # whatever it is, this backup is not proven, and the others are looked at
            line = " ".join(str(exc).split()) or type(exc).__name__
            return {**failed, "seconds": round(time.monotonic() - began, 3), "differences": [line]}

    def write(self, look: Look) -> None:
        proof = {
            **{key: value for key, value in (look.proof or {}).items() if key != "failed_drill"},
            "checked_at": write_time(self.now),
            "drill": look.drill,
            **({"failed_drill": look.failed_drill} if look.failed_drill else {}),
        }
        self.act(lambda: write_proof(look.backup, proof), f"{look.backup.name} is not verified")
        look.proof = proof
        reached("backup_verify:proven")

    def act(self, work: Callable[[], None], otherwise: str) -> None:
        """Change something, unless we only look; a backup that has been removed meanwhile needs no proof.

        :param otherwise: what is so where it cannot be changed; the others are looked at all the same
        """
        if self.check_mode:
            return
        try:
            work()
        except FileNotFoundError:
            return
        except OSError as exc:
            self.unwritten.append(
                f"{otherwise}. Its proof {exc.filename or self.directory} cannot be changed ({exc.strerror}): make room, or let "
                "this account write there, then verify again"
            )


def _withdraw(backup: Backup) -> None:
    (backup.path / PROOF).unlink()
    sync_directory(backup.path)


def seconds_of(text: str | None) -> float | None:
    """Return an age in seconds; None without one."""
    return None if text is None else parse_duration(text)
