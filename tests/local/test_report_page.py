# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report of a year in a real browser: it shows, as wide as a desk and as a phone, and asks nobody for anything."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.modules import report

ROOT = Path(__file__).parents[2]
specification = importlib.util.spec_from_file_location("records_year", ROOT / "tests" / "records" / "year.py")
assert specification and specification.loader
year: Any = importlib.util.module_from_spec(specification)
specification.loader.exec_module(year)

BROWSER = shutil.which("chromium-headless-shell") or shutil.which("chromium")
END = datetime(2027, 1, 1, tzinfo=timezone.utc)
NASTY = "</td><script>fetch('http://203.0.113.9/x')</script><img src=http://203.0.113.9/i onerror=alert(1)>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a year in which a host says what a page must not obey."""
    runs, reports = (tmp_path_factory.mktemp(name) for name in ("runs", "reports"))
    for told in year.year(END, 366):
        for one in told["checks"]:
            if one["id"] == "queue:mail":
                one.update(status="critical", detail=NASTY, name=f"mail {NASTY}")
        year.write(runs, told)
    given = {name: option.get("default") for name, option in {**report.ARGUMENTS, **report.OWN}.items()}
    own = {"records_directory": str(runs), "directory": str(reports), "system": year.SYSTEM, "period": "year"}
    more = {"at": "2027-01-01T06:00:00Z", "schedule": year.SCHEDULE, "kpis": year.KPIS}
    return Path(report.run({**given, **own, **more}, check_mode=False)["path"])


@pytest.mark.parametrize("width", [1280, 390], ids=["desktop", "phone"])
def test_a_browser_shows_it_and_asks_for_nothing(page: Path, tmp_path: Path, width: int) -> None:
    assert BROWSER, "no browser here: make setup installs chromium-headless-shell"
    log, picture = tmp_path / "net.json", tmp_path / "page.png"
    done = subprocess.run(
        [
            BROWSER,
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--no-first-run",
            "--disable-background-networking",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--log-net-log={log}",
            f"--window-size={width},2000",
            f"--screenshot={picture}",
            f"file://{page}",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert picture.exists() and picture.stat().st_size > 50_000, done.stderr
    asked = {
        url
        for url in re.findall(r'"url":"([^"]+)"', log.read_text(errors="replace"))
        if url.startswith(("http", "ws", "ftp"))
    }
    assert asked == set()
    assert "Refused" not in done.stderr and "CONSOLE" not in done.stderr, done.stderr
