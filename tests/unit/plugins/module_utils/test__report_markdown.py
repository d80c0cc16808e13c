# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts say is text in Markdown, in messages and in pages."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _monitor_message as message
from ansible_collections.runbook.ops.plugins.module_utils._report_markdown import cell, table
from ansible_collections.runbook.ops.plugins.module_utils._report_send import channels_of, make_message
from ansible_collections.runbook.ops.plugins.module_utils._report_svg import text
from ansible_collections.runbook.ops.plugins.module_utils._report_words import figure

SUMMARY = {"subject": "[shop] Report October 2026: all is well", "text": "Nothing needs attention.\n", "status": "ok"}


def test_a_cell_stays_in_its_cell() -> None:
    assert (
        table(("a", "b"), [("x | y", "<b>*z*\n# w")]) == "| a | b |\n| --- | --- |\n| x \\| y | \\<b\\>\\*z\\* \\# w |"
    )
    assert cell("[click](http://x)") == "\\[click\\](http://x)"


def test_a_page_shows_markup_and_nothing_turns_the_direction_of_writing() -> None:
    assert text('<a href="x">\u202eevil\x00') == "&lt;a href=&quot;x&quot;&gt; evil"


def test_a_summary_goes_out_by_the_senders_of_alerts() -> None:
    told = make_message("shop-2026-10", SUMMARY, system="shop", host="one", at=0.0)
    assert told["id"] == make_message("shop-2026-10", SUMMARY, system="shop", host="two", at=9.0)["id"]
    assert (message.subject(told), message.text(told)) == (SUMMARY["subject"], SUMMARY["text"])
    assert message.as_json(told)["status"] == "ok"
    assert message.as_slack(told)["attachments"][0]["text"] == SUMMARY["text"]


def test_receivers_are_taken_from_the_description() -> None:
    smtp = {"host": "mail", "port": 25, "tls": "none", "user": "x", "password": "hidden", "ca_path": None}
    hook = {"webhook_url": "https://hooks.example/x", "webhook_format": "slack", "webhook_ca_path": None}
    options = {"email": "ops@example.org", "email_from": None, "smtp": smtp, **hook}
    found = channels_of(options, ["email", "webhook"], hostname="one")
    assert found["email"][0]["from"] == "root@one" and "password" not in found["email"][0]["smtp"]
    assert found["webhook"][0] == {"format": "slack", "ca_path": None}
    assert found["email"][1] == {"smtp_password": "hidden", "webhook_url": "https://hooks.example/x"}


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (83.1, "%", "83.1 %"),
        (2314, "jobs", "2\u202f314 jobs"),
        (4100000000, "B", "4.1 GB"),
        (18000, "s", "5 h"),
        (18420, "s", "5 h 7 min"),
        (0.033, "s", "33 ms"),
        (0.024, "%", "0.024 %"),
        (0, "s", "0 ms"),
        (None, "s", "\u2013"),
        ("active", None, "active"),
        (99.9, "percent", "99.9 %"),
    ],
)
def test_a_value_is_shown_as_people_write_it(value: object, unit: str | None, shown: str) -> None:
    assert figure(value, unit) == shown
