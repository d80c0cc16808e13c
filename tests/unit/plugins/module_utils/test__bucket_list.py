# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listings of buckets and directories: in order, page by page, as of a moment, and in flat memory."""

from __future__ import annotations

import tracemalloc
from html import escape
from types import SimpleNamespace

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._bucket_list import (
    list_bucket,
    list_directory,
    parse_moment,
)
from ansible_collections.runbook.ops.plugins.module_utils._bucket_plan import SAME, Plan, pair
from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import S3Error

WHEN = "2026-11-20T22:00:00.000Z"


class FakeStorage:
    """Answers with pages, and notes what it was asked."""

    def __init__(self, *pages: str) -> None:
        self.pages, self.asked = iter(pages), []
        self.line, self.place = SimpleNamespace(named="s3.test"), SimpleNamespace(bucket="b")

    def ask(self, wish):
        self.asked.append(dict(wish.query))
        return SimpleNamespace(text=next(self.pages))


def thing(kind: str, key: str, modified: str = WHEN, version: str = "") -> str:
    more = f"<VersionId>{version}</VersionId>" if version else ""
    body = "" if kind == "DeleteMarker" else "<Size>3</Size><ETag>&quot;t&quot;</ETag>"
    return f"<{kind}><Key>{escape(key)}</Key><LastModified>{modified}</LastModified>{body}{more}</{kind}>"


def listed(*things: str, root: str = "ListBucketResult", more: str = "") -> str:
    end = f"<IsTruncated>true</IsTruncated>{more}" if more else "<IsTruncated>false</IsTruncated>"
    return f"<{root}>{end}{''.join(things)}</{root}>"


def test_a_listing_goes_on_and_names_are_those_below_the_prefix():
    first = listed(thing("Contents", "p/a & <b>"), more="<NextContinuationToken>n&amp;1</NextContinuationToken>")
    storage = FakeStorage(first, listed(thing("Contents", "p/c"), thing("Contents", "p/.bucket_sync.json")))
    with pytest.raises(S3Error, match="not listed in the order"):
        list(list_bucket(storage, "p/"))
    storage = FakeStorage(first, listed(thing("Contents", "p/c")))
    assert [(one.key, one.size, one.tag) for one in list_bucket(storage, "p/")] == [("a & <b>", 3, "t"), ("c", 3, "t")]
    assert storage.asked[1]["continuation-token"] == "n&1"


def test_what_we_write_ourselves_is_no_content():
    page = listed(
        thing("Contents", ".bucket_sync.json"), thing("Contents", ".bucket_sync/work/1"), thing("Contents", "a")
    )
    assert [one.key for one in list_bucket(FakeStorage(page), "")] == ["a"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("<html>hello</html>", id="another page"),
        pytest.param("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", id="no way on"),
        pytest.param(listed(thing("Contents", "other/a")), id="another prefix"),
    ],
)
def test_an_answer_that_is_no_listing_is_an_error(text):
    with pytest.raises(S3Error, match="correct endpoint"):
        list(list_bucket(FakeStorage(text), "p/"))


def test_the_past_is_the_newest_version_of_then_unless_it_was_deleted():
    root = {"root": "ListVersionsResult"}
    first = listed(
        thing("Version", "a", "2026-11-20T23:00:00Z", "a3"),
        thing("Version", "a", "2026-11-20T21:00:00Z", "a2"),
        more="<NextKeyMarker>a</NextKeyMarker><NextVersionIdMarker>a2</NextVersionIdMarker>",
        **root,
    )
    second = listed(
        thing("Version", "a", "2026-11-20T20:00:00Z", "a1"),
        thing("Version", "c", "2026-11-20T20:00:00Z", "c1"),
        thing("Version", "d", "2026-11-20T23:00:00Z", "d1"),
        thing("DeleteMarker", "b", "2026-11-20T23:00:00Z", "b2"),
        thing("DeleteMarker", "c", "2026-11-20T21:00:00Z", "c2"),
        thing("Version", "e", "2026-11-20T22:00:00Z", "e1"),
        **root,
    )
    storage = FakeStorage(first, second)
    found = list(list_bucket(storage, "", at=parse_moment("2026-11-20T22:00:00Z")))
    assert [(one.key, one.version) for one in found] == [("a", "a2"), ("e", "e1")]
    assert storage.asked[1] == {"versions": "", "prefix": "", "key-marker": "a", "version-id-marker": "a2"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:10Z", 10),
        ("1970-01-01T00:00:10.5Z", 10.5),
        ("1970-01-01T01:00:10.123456789+01:00", 10.123456),
    ],
)
def test_a_moment_is_read_with_its_zone(text, seconds):
    assert parse_moment(text) == pytest.approx(seconds)


def test_a_moment_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="has no zone"):
        parse_moment("2026-11-20T22:00:00")


def test_a_directory_is_listed_as_a_bucket_would_be(tmp_path):
    for name in ("a/b", "a-b", "a.b/c", "z/y/x", ".bucket_sync/history/1/a", ".bucket_sync.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to("a-b")
    found = [one.key for one in list_directory(tmp_path)]
    assert found == sorted(["a/b", "a-b", "a.b/c", "z/y/x"])


def pages(number: int):
    for page in range(number):
        names = (f"{page:05}/{one:04}" for one in range(1000))
        more = "<NextContinuationToken>n</NextContinuationToken>" if page < number - 1 else ""
        yield listed(*(thing("Contents", name) for name in names), more=more)


def test_memory_stays_flat_however_many_there_are():
    peaks = []
    for number in (3, 12):
        tracemalloc.start()
        plan = Plan()
        for one in pair(*(_listing(number) for _side in range(2))):
            plan.add(one)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert plan.counts[SAME] == plan.source.objects == number * 1000
    assert peaks[1] < peaks[0] * 1.3


def _listing(number: int):
    storage = FakeStorage()
    storage.pages = pages(number)
    return list_bucket(storage, "")
