# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a playbook for a pipeline: the console as it goes, one number and one JSON document at the end.

::

    python3 -m ansible_collections.runbook.ops.plugins.plugin_utils.ci deploy -i inventories/owlivion -e deploy_version=$COMMIT --result result.json

ansible-playbook ends with 2 whether nothing was touched, all is as it was, or a person has to look. This tells them apart:
0 done, or nothing to do; 10 refused, nothing was touched; 11 failed and rolled back; 12 failed and not rolled back; 13 host not reached.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.plugin_utils._ci_outcome import DONE, REFUSED, Outcome, judge

HERE = Path(__file__).absolute().parents[2]  # the collection, as it is imported
NO_RUNNER = "ansible-runner is not installed for this Python: python3 -m pip install ansible-runner"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="ci", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("playbook", help="name of a playbook of this collection, such as deploy, or path of one")
    parser.add_argument(
        "-i", "--inventory", action="append", required=True, help="inventory; may be given several times"
    )
    parser.add_argument(
        "-e", "--extra-vars", action="append", default=[], metavar="KEY=VALUE", help="variable, or @file"
    )
    parser.add_argument("-l", "--limit", help="hosts, groups or patterns")
    parser.add_argument("--check", action="store_true", help="predict only")
    parser.add_argument(
        "--timeout", type=int, default=3600, help="seconds after which the run is ended (default: 3600)"
    )
    parser.add_argument("--result", type=Path, help="file that takes the result, as JSON")
    parser.add_argument("--vault-password-file", help="passed on to Ansible; ANSIBLE_VAULT_PASSWORD_FILE works as well")
    return parser.parse_args(arguments)


def playbook(name: str) -> str:
    """Return the path of a playbook.

    :raises ValueError: there is none of this name.
    """
    path = Path(name) if name.endswith((".yml", ".yaml")) else HERE / "playbooks" / f"{name}.yml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in (HERE / "playbooks").glob("*.yml")))
        raise ValueError(f"there is no playbook {name!r}: known are {known}")
    return str(path.resolve())


def variables(given: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return the variables, and the files of variables, that ``-e`` names.

    They reach Ansible in a file of our own, readable by us only, not on a command line.

    :raises ValueError: one is neither.
    """
    found: dict[str, str] = {}
    files = []
    for one in given:
        name, equals, value = one.partition("=")
        if one.startswith("@"):
            files.append(str(Path(one[1:]).resolve()))
        elif equals and name.isidentifier():
            found[name] = value
        else:
            raise ValueError(f"-e {name} is no KEY=VALUE and no @file")
    return found, files


def surroundings() -> dict[str, str]:
    """Return the environment of Ansible, which is to find this very collection and its console."""
    places = [str(HERE.parents[2]), *filter(None, [os.environ.get("ANSIBLE_COLLECTIONS_PATH")])]
    return {
        **os.environ,
        "ANSIBLE_STDOUT_CALLBACK": "runbook.ops.runbook",
        "ANSIBLE_COLLECTIONS_PATH": ":".join(places),
    }


def run(asked: argparse.Namespace) -> tuple[Outcome, str, float]:
    """Run the playbook; return what it came to, Ansible's own word for it, and how long it took, in seconds."""
    import ansible_runner  # noqa: PLC0415  # only who runs it needs it

    given, files = variables(asked.extra_vars)
    cancelled: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: cancelled.append(number))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="runbook-ops-ci-") as private:
        options = [
            *(["--check", "--diff"] if asked.check else []),
            *(f"-e {shlex.quote('@' + file)}" for file in files),
        ]
        if asked.vault_password_file:
            options.append(f"--vault-password-file {shlex.quote(str(Path(asked.vault_password_file).resolve()))}")
        job: Any = ansible_runner.run(
            private_data_dir=private,
            project_dir=str(HERE),
            playbook=playbook(asked.playbook),
            inventory=[str(Path(one).resolve()) if Path(one).exists() else one for one in asked.inventory],
            extravars=given,
            limit=asked.limit,
            cmdline=" ".join(options) or None,
            envvars=surroundings(),
            timeout=asked.timeout,
            cancel_callback=lambda: bool(cancelled),
        )
        outcome = judge(job.events, job.rc, check_mode=asked.check, said=_last_line(job))
    return outcome, str(job.status), round(time.monotonic() - began, 1)


def _last_line(job: Any) -> str:
    lines = [line.strip() for line in job.stdout.read().splitlines() if line.strip()]
    return lines[-1] if lines else f"the run ended as {job.status}"


def _write(path: Path, text: str | None) -> None:
    """Write the result, whole or not at all; None for seeing whether it can be written.

    :raises ValueError: it cannot be.
    """
    aside = path.with_name(f".{path.name}.partial")
    try:
        if path.exists() and not path.is_file():  # such as /dev/stdout
            with path.open("w", encoding="utf-8") as file:
                file.write(text or "")
            return
        aside.write_text(text or "", encoding="utf-8")
        if text is None:
            aside.unlink()
        else:
            aside.replace(path)
    except OSError as exc:
        with suppress(OSError):
            aside.unlink()
        raise ValueError(f"--result is {path}, which cannot be written: {exc.strerror}") from exc


def main(arguments: Sequence[str]) -> int:
    asked = parse(arguments)
    try:
        playbook(asked.playbook)
        variables(asked.extra_vars)
        if asked.result:
            _write(asked.result, None)  # what cannot be written is refused while nothing was touched
        outcome, status, seconds = run(asked)
    except ValueError as exc:
        outcome, status, seconds = Outcome(REFUSED, str(exc), changed=False, hosts={}), "refused", 0.0
    except ModuleNotFoundError as exc:
        if exc.name != "ansible_runner":
            raise
        outcome, status, seconds = Outcome(REFUSED, NO_RUNNER, changed=False, hosts={}), "refused", 0.0
    told = {
        "playbook": asked.playbook,
        "code": outcome.code,
        "outcome": outcome.word,
        "message": outcome.message,
        "changed": outcome.changed,
        "hosts": outcome.hosts,
        "ansible": status,
        "seconds": seconds,
    }
    if outcome.code != DONE:
        print(f"{outcome.code} {outcome.word}: {outcome.message}", file=sys.stderr)
    if asked.result:
        try:
            _write(asked.result, json.dumps(told, indent=2, sort_keys=True) + "\n")
        except ValueError as exc:  # the number stays what it is: what was done was done
            print(exc, file=sys.stderr)
    return outcome.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
