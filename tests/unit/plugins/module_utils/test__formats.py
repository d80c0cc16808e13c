# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A key's name says its format."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._formats import FORMATS, UNITS

GOOD = [
    ("max_age", "26h", 93600),
    ("timeout", "500ms", 0.5),
    ("within", "90d", 7776000),
    ("min_size", "1kB", 1000),
    ("memory", "2GiB", 2147483648),
    ("port", 1, 1),
    ("port", 65535, 65535),
    ("url", "https://owlivion.com/api", "https://owlivion.com/api"),
    ("url", "http://[::1]:{port}/x", "http://[::1]:{port}/x"),
    ("cron", "0 2 * * *", "0 2 * * *"),
    ("cron", "*/5  0-23/2 1,15 jan-mar MON", "*/5 0-23/2 1,15 jan-mar MON"),
    ("path", "/srv/a b", "/srv/a b"),
    ("entry_point", "dist/server.js", "dist/server.js"),
    ("entry_point", "a..b", "a..b"),
    ("domains", "*.example.org", "*.example.org"),
    ("email", "a@b", "a@b"),
    ("last_at", "2026-02-05", "2026-02-05"),
    ("authorized_keys", "~/.ssh/authorized_keys", "~/.ssh/authorized_keys"),
]


@pytest.mark.parametrize(("key", "value", "expected"), GOOD, ids=[f"{key}-{value}" for key, value, _ in GOOD])
def test_what_fits_is_taken(key: str, value: object, expected: object) -> None:
    assert FORMATS[key](value) == expected


BAD = [
    ("max_age", "26", "with its unit"),
    ("max_age", "1.5", "with its unit"),
    ("max_age", "soon", "with its unit"),
    ("min_size", "1000", "with its unit"),
    ("memory", "1 XB", "with its unit"),
    ("port", 0, "between 1 and 65535"),
    ("port", 65536, "between 1 and 65535"),
    ("url", "owlivion.com", "begins with http"),
    ("url", "ftp://owlivion.com", "begins with http"),
    ("url", "https://", "names a host"),
    ("url", "https://a b/", "names a host"),
    ("url", "https://a:99999/", "names a host"),
    ("cron", "0 2 * *", "these are 4"),
    ("cron", "60 2 * * *", "minute '60'"),
    ("cron", "0 24 * * *", "hour '24'"),
    ("cron", "0 2 0 * *", "day '0'"),
    ("cron", "0 2 * 13 *", "month '13'"),
    ("cron", "0 2 * * 8", "weekday '8'"),
    ("cron", "5-1 2 * * *", "minute '5-1'"),
    ("cron", "*/0 2 * * *", "minute '*/0'"),
    ("cron", "*/ 2 * * *", "minute '*/'"),
    ("cron", "1, 2 * * *", "minute ''"),
    ("cron", "@daily", "these are 1"),
    ("path", "srv", "absolute path"),
    ("entry_point", "/srv/server.js", "without a leading /"),
    ("entry_point", "../server.js", "without .."),
    ("entry_point", "a/../../b", "without .."),
    ("domains", "Owlivion.com", "lower case"),
    ("email", "admin", "e-mail"),
    ("last_at", "05.02.2026", "YYYY-MM-DD"),
    ("last", 0, "between 1 and"),
    ("playbook", "playbooks/backup.yml", "without path"),
]


@pytest.mark.parametrize(("key", "value", "words"), BAD, ids=[f"{key}-{value}" for key, value, _ in BAD])
def test_what_does_not_fit_is_refused_with_what_is_allowed(key: str, value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("*", r"\*")):
        FORMATS[key](value)


def test_every_key_with_a_unit_has_a_format() -> None:
    assert set(UNITS) <= set(FORMATS)
