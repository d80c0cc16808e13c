#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the report of a system and a period."""

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Write the report of a system and a period
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Makes one page of the records of runs of a period that needs nothing else, and the same as Markdown and as JSON. First stands what
    needs attention, then what is new, fixed and unchanged since the period before, then targets, the calendar, days until full, and
    pictures of the values over time.
  - The same records make the same files, which are then not changed. They are replaced together; where there is no room, those of
    before stay.
  - Sends a summary once to each receiver. One that does not take it fails nothing. It is named in RV(problems), and gets it with the
    next run.
  - Run it on the host that keeps the records.
attributes:
  check_mode:
    support: full
    details: [Reads all records, writes and sends nothing.]
  diff_mode:
    support: full
    details: [Shows the verdict before and after.]
  idempotent:
    support: full
extends_documentation_fragment:
  - runbook.ops.attributes
  - runbook.ops.receivers
  - runbook.ops.report
options:
  directory:
    description: Directory of the reports. Made with mode C(0700); C(0750) and of that group with O(group).
    type: path
    default: /var/lib/runbook-ops/reports
  keep:
    description: How many reports of each kind of period are kept.
    type: int
    default: 60
  group:
    description: Group that may read the reports. Without it only their owner may.
    type: str
  send_to:
    description: Who gets a summary of a period that is over.
    type: list
    elements: str
    choices: [email, webhook]
    default: []
  checklist:
    description:
      - What people have to do again and again, as the filter P(runbook.ops.checklist_items#filter) lists it. The report says who confirmed
        each item when, and when it is due next.
    type: list
    elements: dict
    default: []
seealso:
  - module: runbook.ops.report_info
  - module: runbook.ops.run_record
"""

EXAMPLES = r"""
- name: Write the report of the last month
  runbook.ops.report:
    system: shop
    period: month
    time_zone: Europe/Berlin
    schedule: "{{ system_description['schedule'] }}"
"""

RETURN = r"""
changed:
  description: Whether a file was, or would be, written or removed, or a message sent.
  returned: always
  type: bool
path:
  description: The page.
  returned: always
  type: str
  sample: /var/lib/runbook-ops/reports/shop-2026-10.html
paths:
  description: All files of the report.
  returned: always
  type: list
  elements: str
actions:
  description: What was, or would be, done, in order.
  returned: always
  type: list
  elements: str
  sample: [write shop-2026-10.html, remove shop-2021-09.html, send to email]
verdict:
  description: The report in a sentence or two.
  returned: always
  type: str
counts:
  description: How much of everything there is.
  returned: always
  type: dict
damaged:
  description: Records that could not be read, each with the reason. All others are in the report.
  returned: always
  type: list
  elements: dict
sent:
  description: Receivers that took the summary in this run.
  returned: always
  type: list
  elements: str
problems:
  description: One line for each receiver that did not take it.
  returned: always
  type: list
  elements: str
  sample: ['email: the mail server does not answer: Connection refused']
notes:
  description:
    - Why the report that was there stays, where it was made from more records than are left.
    - Which directory the group of the reports cannot pass.
  returned: always
  type: list
  elements: str
checks:
  description: Whether records were damaged, and whether the summary was sent. Nothing of the latter where the period is not over.
  returned: always
  type: list
  elements: dict
diff:
  description: The verdict before and after.
  returned: always
  type: dict
"""

import grp
import json
import socket
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils import _report_files as files
from ansible_collections.runbook.ops.plugins.module_utils import _report_send as sending
from ansible_collections.runbook.ops.plugins.module_utils._receivers import ARGUMENTS as RECEIVERS
from ansible_collections.runbook.ops.plugins.module_utils._report_checks import checks_of, message_check
from ansible_collections.runbook.ops.plugins.module_utils._report_html import page
from ansible_collections.runbook.ops.plugins.module_utils._report_markdown import markdown, summary
from ansible_collections.runbook.ops.plugins.module_utils._report_options import ARGUMENTS, ReportError, build

OWN: dict[str, Any] = {
    "directory": {"type": "path", "default": "/var/lib/runbook-ops/reports"},
    "keep": {"type": "int", "default": 60},
    "group": {"type": "str"},
    "send_to": {"type": "list", "elements": "str", "choices": ["email", "webhook"], "default": []},
    **RECEIVERS,
    "checklist": {"type": "list", "elements": "dict", "default": []},
}


def render(report: dict[str, Any], stem: str) -> dict[str, bytes]:
    """Return the files of ``report`` by name."""
    data = json.dumps(report, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n"
    texts = {"html": page(report), "md": markdown(report), "json": data}
    return {f"{stem}.{end}": content.encode("utf-8", "replace") for end, content in texts.items()}


def verdict_of(path: Path) -> str:
    """Return the verdict of the report that is there."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8")).get("verdict", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def kept_instead(path: Path, report: dict[str, Any]) -> str | None:
    """Return why the report that is there stays: it was made from more records of the same period, which has ended."""
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
        period, read = there["period"]["until"], int(there["records"]["read"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    now = report["records"]["read"] + len(report["records"]["damaged"])  # what is damaged is to be named
    if period != report["period"]["until"] or read <= now:
        return None
    return (
        f"{path.with_suffix('.html')} stays: it was made from {read} records, and {now} are left. "
        "Move it away to have it made from those"
    )


def run(options: dict[str, Any], *, check_mode: bool, hand_over: sending.Send = sending._notify.send) -> dict[str, Any]:
    """Write and send what is not there yet, one run at a time."""
    channels = sending.channels_of(options, options["send_to"], hostname=socket.gethostname())
    group = grp.getgrnam(options["group"]).gr_gid if options["group"] else None
    report = build(options)
    with nullcontext() if check_mode else files.alone(Path(options["directory"]), group):
        return bring(report, options, channels, group=group, check_mode=check_mode, hand_over=hand_over)


def bring(
    report: dict[str, Any],
    options: dict[str, Any],
    channels: dict[str, tuple[dict[str, Any], dict[str, str]]],
    *,
    group: int | None,
    check_mode: bool,
    hand_over: sending.Send,
) -> dict[str, Any]:
    """Bring ``report`` to its directory and to ``channels``."""
    directory, system = Path(options["directory"]), options["system"]
    stem = files.stem(system, report["period"]["name"])
    contents = render(report, stem)
    before = verdict_of(directory / f"{stem}.json")
    keeps = kept_instead(directory / f"{stem}.json", report)
    write = [] if keeps else files.differing(directory, contents)
    old = files.outdated(directory, system, max(1, options["keep"]), new=stem)
    shut = files.closed_to(group, directory, [*contents]) if group is not None else []
    share = [path.name for path in shut if path.name not in write]
    above = files.blocked_above(directory, group) if group is not None else None
    note = None
    if above and files.is_ours_alone(above):
        share.append(above.name)
    elif above:
        note = f"{above} lets the group of the reports not pass: chmod o+x {above}"
    remove = [name for name in old if name not in contents]
    tell = [] if options["current"] or keeps else sending.pending(directory, stem, list(channels))
    told_to = [] if options["current"] else list(channels)  # a period that is not over is told to nobody
    sent: list[str] = []
    problems: list[str] = []
    if not check_mode:
        _place(directory, write, remove, contents, group)
        told = summary(report, str(directory / f"{stem}.html"))
        message = sending.make_message(stem, told, system=system, host=socket.gethostname(), at=time.time())
        chosen = {name: channels[name] for name in tell}
        sent, problems = sending.send(directory, stem, message, chosen, hand_over=hand_over)
    done = sent if not check_mode else tell
    actions = (
        [f"write {name}" for name in write]
        + [f"remove {name}" for name in remove]
        + [f"let {options['group']} read {name}" for name in share]
        + [f"send to {name}" for name in done]
    )
    checks = checks_of(report, ["records"], warning_days=0, critical_days=0)
    return {
        "changed": bool(actions),
        "path": str(directory / f"{stem}.html"),
        "paths": [str(directory / name) for name in contents],
        "actions": actions,
        **{key: report[key] for key in ("verdict", "counts")},
        "damaged": report["records"]["damaged"],
        "sent": sent,
        "problems": problems,
        "notes": [one for one in (keeps, note) if one],
        "checks": [*checks, *(message_check(name, problems) for name in told_to if not check_mode)],
        "diff": {"before": f"{before}\n", "after": f"{before if keeps else report['verdict']}\n"},
    }


def _place(directory: Path, write: list[str], remove: list[str], contents: dict[str, bytes], group: int | None) -> None:
    if write:
        files.write_files(directory, {name: contents[name] for name in write}, group=group)
    for name in remove:
        (directory / name).unlink()
    if group is not None:
        files.let_read(group, directory, [*contents])


def main() -> None:
    module = AnsibleModule(argument_spec={**ARGUMENTS, **OWN}, supports_check_mode=True)
    try:
        result = run(module.params, check_mode=module.check_mode)
    except (ReportError, files.BusyError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    except KeyError:
        module.fail_json(
            msg=f"there is no group {module.params['group']!r} on this host: make it, or name another in ops_reports.group"
        )
    except OSError as exc:
        where = exc.filename or module.params["directory"]
        module.fail_json(
            msg=f"The report was not written: {where}: {exc.strerror or exc}. Reports of before are as they were: make room, and run it again"
        )
    for note in result["notes"]:
        module.warn(note)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
