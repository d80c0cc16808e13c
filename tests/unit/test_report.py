# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A year of records becomes a page: small, quick, escaped, the same each time."""

from __future__ import annotations

import grp
import importlib.util
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _report_files
from ansible_collections.runbook.ops.plugins.module_utils._notify import NotifyError
from ansible_collections.runbook.ops.plugins.module_utils._report_options import ReportError
from ansible_collections.runbook.ops.plugins.module_utils._report_records import RecordError, parse_record
from ansible_collections.runbook.ops.plugins.modules import report, report_info

ROOT = Path(__file__).parents[2]
specification = importlib.util.spec_from_file_location("records_year", ROOT / "tests" / "records" / "year.py")
assert specification and specification.loader
year: Any = importlib.util.module_from_spec(specification)
specification.loader.exec_module(year)

END = datetime(2027, 1, 1, tzinfo=timezone.utc)
AT = "2027-01-01T06:00:00Z"
NASTY = "</td><script>fetch('http://203.0.113.9/x')</script><img src=http://203.0.113.9/i onerror=alert(1)> token=planted-secret-1"


def plant(told: dict[str, Any]) -> dict[str, Any] | None:
    """Return a record of the year with what is planted in its last month."""
    day = (END - datetime.fromisoformat(told["started_at"].replace("Z", "+00:00"))).days
    if told["playbook"] == "backup" and day in (9, 10):
        return None
    for one in told["checks"]:
        if one["id"] == "queue:mail" and day < 4:
            one.update(status="critical", detail=f"2314 waiting {NASTY}", remedy="restart it", value=2314)
        if one["id"] == "listening:8004" and day < 45:
            one.update(status="warning", detail="a stranger listens")
        if one["id"] == "systemd:unit-7.service" and 30 < day < 45:
            one.update(status="critical", detail="failed")
    return told


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs")
    for told in year.year(END, 400):
        planted = plant(told)
        if planted:
            year.write(directory, planted)
    return directory


def options(records: Path, directory: Path, **more: Any) -> dict[str, Any]:
    given = {
        name: option.get("default") for name, option in {**report.ARGUMENTS, **report.OWN, **report_info.OWN}.items()
    }
    own = {"records_directory": str(records), "directory": str(directory), "system": year.SYSTEM, "at": AT}
    return {**given, **own, "schedule": year.SCHEDULE, "kpis": year.KPIS, **more}


class Reader(HTMLParser):
    """What a page consists of, and whether it is well formed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def made(records: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], str, float]]:
    directory = tmp_path_factory.mktemp("reports")
    began = time.process_time()
    told = report.run(options(records, directory, period="year"), check_mode=False)
    seconds = time.process_time() - began
    yield told, Path(told["path"]).read_text(encoding="utf-8"), seconds


def test_a_year_is_one_page_below_a_megabyte_made_in_seconds(made: tuple[dict[str, Any], str, float]) -> None:
    told, page, seconds = made
    assert told["counts"]["runs"] > 780
    assert all(Path(path).stat().st_size < 1_000_000 for path in told["paths"])
    assert seconds < 30, seconds
    assert page.count("<figure>") >= 12


def test_nothing_on_the_page_runs_or_asks_for_anything(made: tuple[dict[str, Any], str, float]) -> None:
    reader = Reader()
    reader.feed(made[1])
    tags = {tag for tag, _attributes in reader.tags}
    assert not tags & {"script", "img", "link", "iframe", "object", "embed", "form", "base", "audio", "video", "image"}
    for _tag, attributes in reader.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert all((attributes.get(name) or "#").startswith("#") for name in ("href", "src", "xlink:href", "action"))
    assert "url(" not in made[1] and "@import" not in made[1]
    assert "planted-secret-1" not in made[1]
    assert "<script>fetch" in "".join(reader.texts), "what a host says is shown, not obeyed"


def test_every_picture_says_in_words_what_it_shows(made: tuple[dict[str, Any], str, float]) -> None:
    page = made[1]
    pictures = re.findall(r"<svg[^>]*>", page)
    assert pictures
    for picture in pictures:
        named = 'aria-hidden="true"' in picture or ('role="img"' in picture and "aria-label" in picture)
        assert named, picture
    for name in re.findall(r'aria-labelledby="(c\d+t c\d+d)"', page):
        assert all(page.count(f'id="{part}"') == 1 for part in name.split())
    assert page.count("<figure>") == page.count("<summary>Values</summary>") == page.count("<desc ")


def test_markdown_and_json_say_the_same(made: tuple[dict[str, Any], str, float]) -> None:
    path = Path(made[0]["path"])
    data, text = json.loads(path.with_suffix(".json").read_text()), path.with_suffix(".md").read_text()
    assert data["verdict"] in text.replace("\\", "") and data["verdict"] == made[0]["verdict"]
    assert all(one["name"] in text for group in data["findings"].values() for one in group)
    assert "planted-secret-1" not in text + json.dumps(data)
    assert "<script" not in text.replace("\\<script", "")


def test_what_was_planted_is_told_and_nothing_else(records: Path, tmp_path: Path) -> None:
    told = report.run(options(records, tmp_path), check_mode=False)
    data = json.loads(Path(told["path"]).with_suffix(".json").read_text())
    names = {group: [one["id"] for one in found] for group, found in data["findings"].items()}
    assert names == {
        "new": ["queue:mail"],
        "unchanged": ["listening:8004"],
        "fixed": ["systemd:unit-7.service"],
        "passing": [],
        "unseen": [],
    }
    assert {one["name"]: one["missed"] for one in data["calendar"]}["nightly backup"] == 2
    assert sum(one["missed"] for one in data["calendar"]) == 2
    assert [item["kind"] for item in data["attention"]] == ["new", "unchanged", "missed"]
    disk = next(one for one in data["capacity"] if one["id"] == "disk:/")
    assert disk["verdict"] == "days" and disk["low_days"] < disk["days"] < disk["high_days"]


def test_check_mode_writes_nothing_and_the_second_run_changes_nothing(records: Path, tmp_path: Path) -> None:
    given = options(records, tmp_path / "reports", period="week")
    predicted = report.run(given, check_mode=True)
    assert predicted["changed"] and not (tmp_path / "reports").exists()
    first, second = (report.run(given, check_mode=False) for _time in range(2))
    assert (first["actions"], first["diff"]) == (predicted["actions"], predicted["diff"])
    assert (second["changed"], second["actions"]) == (False, [])
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "reports").iterdir()} == {0o600}


def test_a_record_cut_at_any_byte_is_read_whole_or_refused() -> None:
    checks = [year.check("disk:/", 41.5, detail="größer")]
    whole = (json.dumps(year.record(END, "backup", checks), ensure_ascii=False) + "\n").encode()
    for end in range(len(whole) - 1):
        with pytest.raises(RecordError):
            parse_record(whole[:end])
    assert parse_record(whole)["checks"] == parse_record(whole[:-1])["checks"] == checks


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"status": "fine"},
        {"started_at": "yesterday"},
        {"checks": [{"id": 1}]},
        {"changes": None},
        {"playbook": None},
    ],
)
def test_a_record_that_is_not_understood_is_refused(change: Mapping[str, Any]) -> None:
    with pytest.raises(RecordError):
        parse_record(json.dumps({**year.record(END, "backup", []), **change}).encode())


def test_damaged_records_are_named_and_nothing_else_is_lost(records: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(records, runs)
    victims = sorted(runs.glob("202612*health_check*"))[3:6]
    before = report_info.run(options(runs, tmp_path))["counts"]["runs"]
    victims[0].write_bytes(victims[0].read_bytes()[:700])
    victims[1].write_bytes(b"")
    victims[2].write_bytes(b"\xff\x00" * 99)
    (runs / "notes.json").write_text("{}")
    os.mkfifo(runs / "20261211T020000Z-pipe-0123456789ab.json")
    told = report_info.run(options(runs, tmp_path, topics=["records"]))
    assert told["counts"]["runs"] == before - 3
    assert {one["name"] for one in told["damaged"]} >= {*(path.name for path in victims), "notes.json"}
    assert (told["checks"][0]["status"], told["checks"][0]["value"]) == ("warning", len(told["damaged"]))


HOSTILE: list[Any] = [
    *(NASTY, "\ud800\u202e\x00", "", None, True, [], {"a": 1}, [{"b": 2}], -1, 10**400, float("nan"), float("inf")),
    *("9999-12-31T23:59:59Z", "by Ada on 9999-12-31"),
]
CHANGE = {
    "host": "a",
    "thing": "checklist:access",
    "action": "confirm",
    "section": "x",
    "reason": "by Ada on 2026-12-15",
}
ACCESS = {"name": "access", "every_seconds": 864000, "playbook": "quarterly_review", "check": "disk:*"}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each field within ``value``."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(inner, (*path, key))


def test_whatever_stands_in_a_field_the_record_is_used_or_named_and_nothing_is_markup(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    checks = [year.check("disk:/", 41.5, limit=80, remedy="make room", unit="%")]
    more = {"changes": [{**CHANGE, "after": 1}], "failure": {"host": "a", "task": "b", "message": "c"}, "left_out": []}
    count = 0
    for place in places(year.record(END, "confirm", checks, **more)):
        for value in HOSTILE if place != ("system",) else []:
            at = datetime.fromtimestamp(END.timestamp() - 86400 - count * 60, timezone.utc)
            told = json.loads(json.dumps(year.record(at, "confirm+health_check", checks, **more)))
            name, inner = year.name_of(told), told
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = value
            (runs / name).write_text(json.dumps(told))
            count += 1
    given = options(runs, tmp_path / "reports", checklist=[ACCESS])
    told = report.run(given, check_mode=False)
    path = Path(told["path"])
    data = json.loads(path.with_suffix(".json").read_text(), parse_constant=pytest.fail)
    assert count > 700 and data["records"]["read"] + len(data["records"]["damaged"]) == count
    assert data["records"]["read"] > count / 2
    assert "<script" not in path.read_text() and "<script" not in path.with_suffix(".md").read_text().replace("\\<", "")


def test_a_system_that_says_nothing_but_markup_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    for day in range(1, 32):
        check = {
            **dict.fromkeys(("name", "section", "detail", "remedy", "unit", "because", "limit"), NASTY),
            "value": day,
        }
        checks = [
            {**check, "host": NASTY, "id": one, "status": "critical"} for one in ("disk:/", f"query:{NASTY}", "else")
        ]
        at = datetime(2026, 12, day, 7, tzinfo=timezone.utc)
        told = year.record(at, "health_check", checks, status="failed", failure={"host": NASTY, "message": NASTY})
        year.write(tmp_path, told)
    (tmp_path / "<script>.json").write_text("{}")
    kpis = [{"name": NASTY, "target": 1, "unit": NASTY, "check": "disk:*", "figure": "mean"}]
    path = Path(report.run(options(tmp_path, tmp_path / "reports", kpis=kpis), check_mode=False)["path"])
    assert "<script" not in path.read_text() and "&lt;script" in path.read_text()
    assert "<script" not in path.with_suffix(".md").read_text().replace("\\<", "")


def test_a_record_of_a_time_that_is_still_to_come_is_named(tmp_path: Path) -> None:
    for day in (datetime(2026, 12, 5, tzinfo=timezone.utc), datetime(2093, 1, 1, tzinfo=timezone.utc)):
        path = year.write(tmp_path, year.record(day, "backup", []))
    told = report_info.run(options(tmp_path, tmp_path / "reports"))
    assert [(one["name"], one["reason"][:30]) for one in told["damaged"]] == [
        (path.name, "of a time that is still to com")
    ]


def test_without_records_there_is_a_report_that_says_so(tmp_path: Path) -> None:
    messages: list[Mapping[str, Any]] = []
    given = options(tmp_path / "none", tmp_path / "reports", period="week", send_to=["email"], email="a@example.org")
    told = report.run(given, check_mode=False, hand_over=lambda _channel, message, *_given: messages.append(message))
    text = Path(told["path"]).read_text()
    assert "There is no record of this period" in text and "Nothing.</span>" not in text
    assert (messages[0]["status"], told["counts"]["attention"]) == ("warning", 1) and "well" not in messages[0][
        "subject"
    ]


def test_of_a_system_that_is_all_wrong_the_page_stays_small_and_the_data_whole(tmp_path: Path) -> None:
    checks = [year.check(f"thing:{place}", place, status="critical", detail="wrong") for place in range(3000)]
    year.write(tmp_path, year.record(datetime(2026, 12, 1, 7, tzinfo=timezone.utc), "health_check", checks))
    given = options(tmp_path, tmp_path / "reports", schedule=[], kpis=[])
    path = Path(report.run(given, check_mode=False)["path"])
    page, text = path.read_text(), path.with_suffix(".md").read_text()
    assert path.stat().st_size < 1_000_000 and page.count('<li class="critical">') == 40
    assert "And 2\u202f960 more" in page and "And 2\u202f700 more" in page and "And 2700 more" in text
    assert len(json.loads(path.with_suffix(".json").read_text())["findings"]["new"]) == 3000


def test_no_room_leaves_the_report_of_before(records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = options(records, tmp_path, period="week")
    path = Path(report.run(given, check_mode=False)["path"])
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        report.run({**given, "title": "Another"}, check_mode=False)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before and path.exists()


def test_a_summary_is_sent_once_and_again_only_where_it_was_not_taken(records: Path, tmp_path: Path) -> None:
    messages: list[Mapping[str, Any]] = []

    def taken(_channel: str, message: Mapping[str, Any], _settings: object, _secrets: object) -> None:
        messages.append(message)

    def down(*_given: object) -> None:
        raise NotifyError("the mail server does not answer: Connection refused")

    given = options(records, tmp_path, period="week", send_to=["email"], email="ops@example.org")
    first = report.run(given, check_mode=False, hand_over=down)
    assert (first["sent"], first["checks"][-1]["status"]) == ([], "warning") and Path(first["path"]).exists()
    assert first["problems"] == ["email: the mail server does not answer: Connection refused"]
    assert report.run(given, check_mode=True)["actions"] == ["send to email"]
    runs = [report.run(given, check_mode=False, hand_over=taken) for _time in range(3)]
    assert [one["sent"] for one in runs] == [["email"], [], []]
    assert (
        len(messages) == 1
        and "Report Week 52" in messages[0]["subject"]
        and "planted-secret-1" not in messages[0]["text"]
    )


def test_of_two_runs_at_once_one_waits_and_the_summary_is_sent_once(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = options(records, tmp_path, period="week", send_to=["email"], email="ops@example.org")
    sending, go_on = threading.Event(), threading.Event()
    told: list[dict[str, Any]] = []

    def slow(*_given: object) -> None:
        sending.set()
        assert go_on.wait(60)

    first = threading.Thread(target=lambda: told.append(report.run(given, check_mode=False, hand_over=slow)))
    first.start()
    assert sending.wait(60)
    with monkeypatch.context() as patch:
        patch.setattr(_report_files, "WAIT_SECONDS", 0.0)
        with pytest.raises(_report_files.BusyError, match="has been writing reports into"):
            report.run(given, check_mode=False, hand_over=lambda *_given: pytest.fail("sent twice"))
    go_on.set()
    first.join(60)
    again = report.run(given, check_mode=False, hand_over=lambda *_given: pytest.fail("sent twice"))
    assert (told[0]["sent"], again["changed"]) == (["email"], False)


def test_a_receiver_that_is_not_described_is_refused_before_anything_is_written(records: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape("ops_alerts.webhook does not say where")):
        report.run(options(records, tmp_path / "reports", send_to=["webhook"]), check_mode=False)
    assert not (tmp_path / "reports").exists()


def test_old_reports_go_and_others_stay(records: Path, tmp_path: Path) -> None:
    for name in (
        "orchard-2026-08.html",
        "orchard-2026-09.html",
        "orchard-2026-09.md",
        "orchard-2025.html",
        "other-2026-08.html",
        "a.txt",
    ):
        (tmp_path / name).write_text("old")
    told = report.run(options(records, tmp_path, keep=2), check_mode=False)
    assert [action for action in told["actions"] if "remove" in action] == ["remove orchard-2026-08.html"]
    assert (tmp_path / "orchard-2025.html").exists() and (tmp_path / "other-2026-08.html").exists()


@pytest.mark.parametrize(
    "change", [{"at": "soon"}, {"kpis": [{"name": "x", "target": 1, "figure": "best"}]}, {"time_zone": "Mars"}]
)
def test_what_cannot_be_made_is_refused_in_one_line(records: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ReportError) as refused:
        report.run(options(records, tmp_path, **change), check_mode=False)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("playbook", ["my-nightly.yml", "/srv/ops/my-nightly.yaml", "acme.ops.my_nightly"])
def test_a_playbook_of_ones_own_is_found_by_the_name_that_records_have(tmp_path: Path, playbook: str) -> None:
    for day in range(1, 32):
        year.write(tmp_path, year.record(datetime(2026, 12, day, 2, tzinfo=timezone.utc), "my_nightly", []))
    schedule = [{"name": "own", "playbook": playbook, "cron": "0 2 * * *"}]
    (own,) = calendar_of(tmp_path, schedule)
    assert (own["due"], own["ran"], own["problem"]) == (31, 31, None)


def calendar_of(records: Path, schedule: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the report says of the calendar."""
    told = report.run(options(records, records / "reports", schedule=schedule), check_mode=False)
    calendar: list[dict[str, Any]] = json.loads(Path(told["path"]).with_suffix(".json").read_text())["calendar"]
    return calendar


def test_what_never_left_a_record_is_not_judged_and_what_left_one_long_ago_is_missed(tmp_path: Path) -> None:
    year.write(tmp_path, year.record(datetime(2026, 7, 1, 3, tzinfo=timezone.utc), "old", []))
    never, long_ago = calendar_of(
        tmp_path,
        [
            {"name": "never", "playbook": "never", "cron": "0 2 * * *"},
            {"name": "quarterly", "playbook": "old", "cron": "0 3 1 * *"},
        ],
    )
    assert (never["due"], never["missed"]) == (0, 0)
    assert never["problem"] == "not judged: no run of never has left a record yet"
    assert (long_ago["due"], long_ago["missed"], long_ago["problem"]) == (1, 1, None)


def test_an_entry_is_not_missed_before_it_was_in_use(tmp_path: Path) -> None:
    for day in range(25, 32):
        who = {**year.WHO, "schedule_entry": "new-one"}
        year.write(tmp_path, year.record(datetime(2026, 12, day, 2, tzinfo=timezone.utc), "backup", [], who=who))
    year.write(tmp_path, year.record(datetime(2026, 11, 1, 2, tzinfo=timezone.utc), "backup", []))  # by hand
    (entry,) = calendar_of(tmp_path, [{"name": "New one", "playbook": "backup", "cron": "0 2 * * *"}])
    assert (entry["due"], entry["ran"], entry["missed"]) == (7, 7, 0)


def test_of_a_period_that_is_not_over_no_message_is_told_of(records: Path, tmp_path: Path) -> None:
    given = options(
        records, tmp_path, current=True, at="2026-12-20T06:00:00Z", send_to=["email"], email="a@example.org"
    )
    told = report.run(given, check_mode=False, hand_over=lambda *_given: pytest.fail("sent"))
    assert (told["sent"], [one["id"] for one in told["checks"]]) == ([], ["records:damaged"])


def test_a_report_made_from_more_records_than_are_left_stays(records: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(records, runs)
    given = options(runs, tmp_path / "reports", send_to=["email"], email="a@example.org")
    told = report.run(given, check_mode=False, hand_over=lambda *_given: None)
    before = [Path(path).read_bytes() for path in told["paths"]]
    for path in sorted(runs.glob("202612*"))[5:]:
        path.unlink()
    again = report.run(given, check_mode=False, hand_over=lambda *_given: pytest.fail("sent"))
    assert (again["changed"], [Path(path).read_bytes() for path in told["paths"]]) == (False, before)
    assert "are left" in again["notes"][0] and "Move it away" in again["notes"][0]
    for path in told["paths"]:
        Path(path).unlink()
    assert "write orchard-2026-12.html" in report.run(given, check_mode=True)["actions"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files to a group")
def test_a_group_gets_the_directory_and_files_that_were_there_before(records: Path, tmp_path: Path) -> None:
    directory = tmp_path / "reports"
    report.run(options(records, directory), check_mode=False)
    adm = grp.getgrnam("adm").gr_gid
    given = options(records, directory, group="adm")
    predicted, told, again = (report.run(given, check_mode=check_mode) for check_mode in (True, False, False))
    assert told["actions"] == predicted["actions"] and "let adm read reports" in told["actions"]
    assert not again["changed"]
    seen = {(path.stat().st_gid, path.stat().st_mode & 0o777) for path in (directory, *map(Path, told["paths"]))}
    assert seen == {(adm, 0o750), (adm, 0o640)}
    assert told["notes"] == [f"{tmp_path} lets the group of the reports not pass: chmod o+x {tmp_path}"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files to a group")
def test_a_group_gets_a_directory_that_is_made_without_a_word_of_its_own(records: Path, tmp_path: Path) -> None:
    given = options(records, tmp_path / "reports", group="adm")
    predicted, told, again = (report.run(given, check_mode=check_mode) for check_mode in (True, False, False))
    assert told["actions"] == predicted["actions"] and not [one for one in told["actions"] if one.startswith("let")]
    assert again["changed"] is False
    assert (tmp_path / "reports").stat().st_mode & 0o777 == 0o750


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files to a group")
def test_a_group_may_pass_the_directory_above_and_not_see_what_else_is_there(records: Path, tmp_path: Path) -> None:
    above = tmp_path / "runbook-ops"
    above.mkdir(mode=0o700)
    given = options(records, above / "reports", group="adm")
    told, again = (report.run(given, check_mode=False) for _time in range(2))
    assert "let adm read runbook-ops" in told["actions"] and (told["notes"], again["changed"]) == ([], False)
    has = above.stat()
    assert (has.st_gid, has.st_mode & 0o777) == (grp.getgrnam("adm").gr_gid, 0o710)
    other = report.run({**given, "group": "daemon"}, check_mode=False)
    assert (above.stat().st_gid, len(other["notes"])) == (has.st_gid, 1), "another group's directory stays so"


def test_what_too_few_values_tell_of_is_unknown_and_no_finding(tmp_path: Path) -> None:
    checks = [year.check("disk:/", 60, name="Disk /", unit="%")]
    year.write(tmp_path, year.record(datetime(2026, 12, 1, 7, tzinfo=timezone.utc), "health_check", checks))
    given = options(tmp_path, tmp_path / "reports", schedule=[], kpis=[])
    (found, _damaged) = report_info.run({**given, "topics": ["capacity", "records"]})["checks"]
    assert (found["status"], found["detail"][:20]) == ("unknown", "cannot tell: 1 value")
    assert "after a week" in found["remedy"]
    planned = year.record(
        datetime(2026, 12, 2, 7, tzinfo=timezone.utc), "capacity_planning", [{**found, "host": year.HOST}]
    )
    year.write(tmp_path, planned)
    assert report_info.run(given)["counts"]["attention"] == 0


def test_what_capacity_planning_found_full_is_told_once(tmp_path: Path) -> None:
    for day in range(1, 32):
        checks = [year.check("disk:/", 60 + day, name="Disk /", unit="%", limit=95.0)]
        if day == 31:
            found = {"name": "Disk / full in", "status": "critical", "unit": "days", "remedy": "make room"}
            checks += [year.check(f"capacity:{year.HOST}:disk:/", 9, **found)]
        year.write(tmp_path, year.record(datetime(2026, 12, day, 7, tzinfo=timezone.utc), "health_check", checks))
    given = options(tmp_path, tmp_path / "reports", schedule=[], kpis=[])
    path = Path(report.run(given, check_mode=False)["path"]).with_suffix(".json")
    told = json.loads(path.read_text())
    assert [one["days"] < 30 for one in told["capacity"]] == [True]
    assert [one["title"] for one in told["attention"]] == ["Disk / full in"]


def test_capacity_and_targets_become_checks(records: Path, tmp_path: Path) -> None:
    told = report_info.run(options(records, tmp_path))
    found = {one["id"]: one for one in told["checks"]}
    assert found["capacity:orchard-1:disk:/"]["status"] == "ok" and found["capacity:orchard-1:disk:/"]["unit"] == "days"
    assert found["kpi:uptime"]["status"] == "unknown", "31 looks do not prove it"
    assert found["kpi:cost of a user"]["status"] == "unknown"
    assert found["calendar:nightly backup"]["status"] == "warning"
    tight = report_info.run(options(records, tmp_path, warning_days=900, critical_days=800))
    assert {one["id"]: one for one in tight["checks"]}["capacity:orchard-1:disk:/"]["status"] == "critical"
