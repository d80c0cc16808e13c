# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of cron that something else takes the place of."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._cron_lines import changes, diff, judge, plan, predict
from ansible_collections.runbook.ops.plugins.module_utils._schedule import mark_of

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
    found = judge(TABS, ["etc/cron.daily/rotate"], ["/srv/rotate.sh"])
    assert [check["status"] for check in found] == ["warning", "warning"]
    assert "chmod -x" in found[1]["remedy"]


def test_without_replacing_only_what_nothing_replaces_any_more_comes_back():
    both = {"etc/crontab": "0 2 * * * root /srv/a.sh\n0 3 * * * root /srv/b.sh\n"}
    after = predict(both, plan(both, "absent", ["/srv/a.sh", "/srv/b.sh"], MARK))
    kept = predict(after, plan(after, "absent", ["/srv/b.sh"], MARK, replace=False))
    assert kept == {"etc/crontab": f"0 2 * * * root /srv/a.sh\n{MARK}0 3 * * * root /srv/b.sh\n"}
    assert plan(both, "absent", ["/srv/a.sh"], MARK, replace=False) == []


@pytest.mark.parametrize(
    ("line", "is_whole"),
    [
        pytest.param("0 2 * * * root /srv/a.sh && /srv/z.sh", False, id="another after it"),
        pytest.param("0 2 * * * root /srv/z.sh; /srv/a.sh", False, id="another before it"),
        pytest.param("0 2 * * * root /srv/a.sh & /srv/z.sh", False, id="another beside it"),
        pytest.param("0 2 * * * root /srv/a.sh | /srv/z.sh", False, id="another that reads it"),
        pytest.param("0 2 * * * root /srv/a.sh --all >> /var/log/a.log 2>&1", True, id="a file of what it says"),
        pytest.param("0 2 * * * root cd /srv && /srv/a.sh | logger -t a", True, id="prepared, and kept"),
        pytest.param("0 2 * * * root [ -x /srv/a.sh ] && /srv/a.sh || true", True, id="if it is there"),
        pytest.param("@daily root /srv/a.sh; /srv/b.sh", True, id="both are replaced"),
        pytest.param("0 2 * * *\troot\tnice -n 19 /usr/bin/flock -n /run/a.lock /srv/a.sh", True, id="behind a lock"),
        pytest.param("0 2 * * * root A=1 su - shop -c '/srv/a.sh --all'", True, id="as another account"),
        pytest.param("0 2 * * * root timeout -k 5 1h bash /srv/a.sh", True, id="by a shell, for a time"),
        pytest.param("0 2 * * * root rsync -a /srv/a.sh backup:/srv/", False, id="copied"),
        pytest.param("0 2 * * * root sudo -u shop tar cf /srv/a.tar /srv/a.sh", False, id="put away by an account"),
        pytest.param("0 2 * * * root bash /srv/z.sh /srv/a.sh", False, id="given to another script"),
        pytest.param("0 2 * * * root SCRIPT=/srv/a.sh /srv/z.sh", False, id="in a variable"),
        pytest.param("0 2 * * * root bash -c 'cat /srv/a.sh'", False, id="read by a shell"),
        pytest.param("0 2 * * * root echo /srv/a.sh", False, id="said"),
        pytest.param(
            "0 2 * * * root pg_dump mail > /srv/m.sql && /srv/a.sh", False, id="a database called mail before it"
        ),
    ],
)
def test_a_line_that_runs_something_else_as_well_stays_and_is_reported(line, is_whole):
    tabs = {"etc/crontab": f"{line}\n"}
    assert bool(plan(tabs, "absent", ["/srv/a.sh", "/srv/b.sh"], MARK)) == is_whole
    (check,) = judge(tabs, [], ["/srv/a.sh", "/srv/b.sh"])
    assert ("make two lines" in check["remedy"]) != is_whole


def test_no_line_of_a_crontab_takes_long():
    for start in ("sh -c ", "flock -n a -n b ", "sudo -u x nice -n 5 "):
        assert (
            plan({"etc/crontab": f"0 2 * * * root {start * 300}tar cf x /srv/a.sh\n"}, "absent", ["/srv/a.sh"], MARK)
            == []
        )
        assert plan({"etc/crontab": f"0 2 * * * root {start * 300}/srv/a.sh\n"}, "absent", ["/srv/a.sh"], MARK)


def test_a_crontab_of_a_user_names_no_account_before_the_program():
    spool, line = "var/spool/cron/crontabs/shop", "0 2 * * * cp /srv/a.sh /srv/old/\n"
    assert plan({spool: line}, "absent", ["/srv/a.sh"], MARK) == []
    assert plan({spool: "0 2 * * * cd /srv && /srv/a.sh\n"}, "absent", ["/srv/a.sh"], MARK)
    assert plan({"etc/cron.d/shop": "0 2 * * * shop /srv/a.sh\n"}, "absent", ["/srv/a.sh"], MARK)


def test_a_variable_of_a_crontab_runs_nothing():
    tabs = {"etc/crontab": "ROTATE = /srv/rotate.sh\nX=/srv/rotate.sh\n"}
    assert plan(tabs, "absent", ["/srv/rotate.sh"], MARK) == [] == judge(tabs, [], ["/srv/rotate.sh"])


def test_what_is_told_of_a_line_holds_no_password_and_the_crontab_keeps_it():
    tabs = {
        "etc/crontab": "MAILTO=root\n0 2 * * * root DB_PASSWORD=hunter22 /srv/a.sh\n0 3 * * * root z --token hunter22\n"
    }
    edits = plan(tabs, "absent", ["/srv/a.sh"], MARK)
    after = predict(tabs, edits)
    assert after["etc/crontab"].count("hunter22") == 2
    told = [judge(tabs, [], ["/srv/a.sh"]), changes(tabs, edits, MARK), diff(tabs, after, edits)]
    assert [len(one) for one in told] == [1, 1, 1]
    assert "hunter22" not in str(told)
    assert "root DB_PASSWORD=*** /srv/a.sh" in told[1][0]["reason"]


def test_what_another_system_commented_out_stays():
    after = predict(TABS, plan(TABS, "absent", ["/srv/rotate.sh"], mark_of("shop")))
    assert plan(after, "present", [], mark_of("shop-2")) == []
    assert predict(after, plan(after, "present", [], mark_of("shop"))) == TABS
