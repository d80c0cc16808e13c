# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of cron that something else takes the place of."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._cron_lines import changes, judge, plan, predict

MARK = "# ours: "
FOREIGN = "MAILTO=ops \n\n#0 1 * * * /srv/rotate.sh\n5 4 * * * /srv/rotate.sh.old\t\n0 3 * * * echo /srv/rotate.shx\n6 6 * * * last \udcff"
TEXT = f"0 2 * * * /srv/rotate.sh --all\n{FOREIGN}"
TABS = {"etc/crontab": FOREIGN, "var/spool/cron/crontabs/shop": TEXT}


def test_only_the_line_that_is_replaced_changes_and_comes_back_byte_for_byte():
    edits = plan(TABS, "absent", ["/srv/rotate.sh"], MARK)
    assert [edit.path for edit in edits] == ["var/spool/cron/crontabs/shop"]
    after = predict(TABS, edits)
    assert after["var/spool/cron/crontabs/shop"] == MARK + TEXT
    assert plan(after, "absent", ["/srv/rotate.sh"], MARK) == []
    assert predict(after, plan(after, "present", [], MARK)) == TABS


def test_a_line_whose_program_is_replaced_no_longer_comes_back():
    after = predict(TABS, plan(TABS, "absent", ["/srv/rotate.sh"], MARK))
    assert predict(after, plan(after, "absent", ["/srv/else.sh"], MARK)) == TABS


@pytest.mark.parametrize(("state", "action"), [("absent", "commented out"), ("present", "put back")])
def test_each_line_is_told(state, action):
    before = TABS if state == "absent" else predict(TABS, plan(TABS, "absent", ["/srv/rotate.sh"], MARK))
    found = changes(before, plan(before, state, ["/srv/rotate.sh"], MARK), MARK)
    assert [(one["thing"], one["action"], one["reason"]) for one in found] == [
        ("/var/spool/cron/crontabs/shop", action, "0 2 * * * /srv/rotate.sh --all")
    ]


def test_what_does_the_same_is_reported():
    found = judge(TABS, ["etc/cron.daily/rotate"], ["/srv/rotate.sh"], MARK)
    assert [check["status"] for check in found] == ["warning", "warning"]
    assert "chmod -x" in found[1]["remedy"]
