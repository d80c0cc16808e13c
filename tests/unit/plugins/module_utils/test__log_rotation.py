# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What logrotate is told, and what it is never told."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._log_rotation import owned, plan_rotations, render

LOG = {"path": "/var/log/shop/*.log", "older_than_seconds": 30 * 86400, "max_size_bytes": None, "options": []}


def planned(**more):
    return plan_rotations({"retention": {"logs": [{**LOG, **more}]}}, {})


def written(rotations, owner="root"):
    return render([{**one, "owner": owner, "group": owner} for one in rotations])


def test_a_log_is_kept_as_long_as_the_description_says_and_emptied_in_place():
    text = written(planned())
    assert '"/var/log/shop/*.log" {\n    daily\n    compress\n' in text
    assert "    copytruncate\n    rotate 30\n    maxage 30\n}" in text
    assert "su " not in text


def test_of_a_log_without_an_age_nothing_goes():
    text = written(planned(older_than_seconds=None, max_size_bytes=1000))
    assert "rotate 3650\n" in text
    assert "maxage" not in text


def test_options_are_further_words_and_replace_their_opposites_only():
    assert planned(options=["weekly", "nocompress"])[0]["options"] == [
        *("delaycompress", "missingok", "notifempty"),
        *("weekly", "nocompress"),
    ]


STAT = {"exists": True, "path": "/var/log/shop", "uid": 7, "gid": 7, "pw_name": "shop", "gr_name": "adm"}


def test_a_log_is_rotated_as_who_has_its_directory():
    (one,) = owned(planned(), [STAT])
    assert (one["owner"], one["group"]) == ("shop", "adm")


def test_a_directory_that_is_not_there_is_left_out_and_an_accounts_is_never_roots():
    assert owned(planned(), [{"exists": False}]) == []
    system = {
        "services": [{"manager": "pm2", "user": "shop"}],
        "retention": {"application_logs_seconds": 86400, "logs": None},
    }
    plan = plan_rotations(system, {"shop": "/home/shop"}, {"shop": "users"})
    assert "    su shop users\n" in render(owned(plan, []))


def test_an_owner_without_a_name_is_told_with_the_directory():
    nameless = {key: value for key, value in STAT.items() if key != "pw_name"}
    with pytest.raises(ValueError, match=r"the directory /var/log/shop belongs to 7:7"):
        owned(planned(), [nameless])


def test_a_directory_that_is_a_glob_is_refused():
    with pytest.raises(ValueError, match=r"the directory of /var/log/\*/app.log is a glob"):
        planned(path="/var/log/*/app.log")


@pytest.mark.parametrize("word", ["copytruncate", "create 0640 shop adm"])
def test_who_says_how_a_program_opens_its_log_anew_is_believed(word):
    assert written(planned(options=["weekly", word])).count("copytruncate") == (word == "copytruncate")


def test_what_is_an_accounts_is_not_touched_as_root():
    assert "    su shop shop\n" in written(planned(), "shop")


def test_a_part_of_a_day_is_a_day_and_a_size_is_in_bytes():
    text = written(planned(older_than_seconds=86400 * 1.5, max_size_bytes=1000))
    assert "rotate 2\n" in text
    assert "maxsize 1000\n" in text


def test_pm2_writes_into_the_home_of_each_account_once():
    services = [
        {"manager": "pm2", "user": "shop"},
        {"manager": "pm2", "user": "shop"},
        {"manager": "systemd", "user": None},
    ]
    system = {"services": services, "retention": {"application_logs_seconds": 86400, "logs": None}}
    (one,) = plan_rotations(system, {"shop": "/home/shop"})
    assert (one["path"], one["days"], one["user"]) == ("/home/shop/.pm2/logs/*.log", 1, "shop")


@pytest.mark.parametrize(
    "options",
    [
        ["postrotate"],
        ["include /etc/passwd"],
        ["daily\n}"],
        ["rotate 99"],
        ["su root root"],
        ["Daily"],
        ["create $(id)"],
    ],
    ids=str,
)
def test_no_script_comes_by_the_description(options):
    with pytest.raises(ValueError, match="cannot stand among the options"):
        planned(options=options)


@pytest.mark.parametrize("path", ['/var/log/a"b', "/var/log/a b", "/var/log/{a}", "/var/log/a\nb"], ids=repr)
def test_a_path_that_would_be_read_as_something_else_is_refused(path):
    with pytest.raises(ValueError, match="does not take in a path"):
        planned(path=path)


def test_who_keeps_everything_has_no_rotation():
    assert plan_rotations({"retention": None, "services": []}, {}) == []
