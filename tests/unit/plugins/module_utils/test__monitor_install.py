# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine in one file, its units, and what of cron it replaces."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import zipfile

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._monitor_install import (
    HOME,
    START,
    build_engine,
    needed_sources,
    reinstate,
    render_units,
    retire,
    schedule,
)


def read(name):
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    return spec.loader.get_source(name) if spec and hasattr(spec.loader, "get_source") else None


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    path = tmp_path_factory.mktemp("engine") / "monitor.pyz"
    path.write_bytes(build_engine(needed_sources(read)))
    return path


def test_the_engine_runs_without_ansible_and_without_this_tree(engine, tmp_path):
    config = {
        **{"system": "s", "host": "h", "digest": "d", "timeout_seconds": 5, "channels": {}},
        **{"policy": {"after": 2, "clear": 3, "remind_seconds": 0}, "probes": [{"probe": "memory"}, {"probe": "disk"}]},
    }
    for name, content in (("c.json", config), ("s.json", {})):
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    command = [sys.executable, "-I", str(engine), "look", str(tmp_path / "c.json"), str(tmp_path / "s.json")]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", env={}, check=True)
    assert {check["id"].split(":")[0] for check in json.loads(done.stdout)["checks"]} >= {"memory", "disk"}


def test_the_engine_holds_every_probe(engine):
    names = zipfile.ZipFile(engine).namelist()
    for name in ("disk", "http", "postgresql", "systemd_unit"):
        assert f"{HOME.replace('.', '/')}/probes/{name}.py" in names


def test_the_engine_holds_nothing_of_ansible_and_nothing_else_of_ours(engine):
    assert not [name for name in zipfile.ZipFile(engine).namelist() if "_pg_plan" in name or "/modules/" in name]
    assert "import ansible." not in "".join(needed_sources(read).values())


def test_the_same_sources_make_the_same_file():
    sources = needed_sources(read)
    assert build_engine(sources) == build_engine(dict(reversed(sources.items())))
    assert START in sources


@pytest.mark.parametrize(
    ("seconds", "line"),
    [
        pytest.param(300, "OnCalendar=*-*-* *:0/5:00\nPersistent=yes", id="five minutes"),
        pytest.param(20, "OnCalendar=*-*-* *:*:0/20\nPersistent=yes", id="twenty seconds"),
        pytest.param(60, "OnCalendar=*-*-* *:0/1:00\nPersistent=yes", id="a minute"),
        pytest.param(3600, "OnCalendar=*-*-* 0/1:00:00\nPersistent=yes", id="an hour"),
        pytest.param(420, "OnBootSec=60\nOnUnitActiveSec=420", id="what divides no hour"),
    ],
)
def test_the_timer_follows_the_clock_where_it_can(seconds, line):
    assert schedule(seconds) == line


def test_the_units_hold_no_gap():
    units = render_units(python="/usr/bin/python3", engine="/x/monitor.pyz", interval_seconds=300, limit_seconds=90)
    assert "ExecStart=/usr/bin/python3 -I /x/monitor.pyz run" in units["runbook-ops-monitor.service"]
    assert not [text for text in units.values() if "{" in text]


CRONTAB = """MAILTO=ops
# */5 * * * * /srv/healthcheck.sh
*/5 * * * * /srv/app/deployment/healthcheck.sh >/dev/null 2>&1
0 2 * * * /srv/app/deployment/backup.sh
*/5 * * * * /srv/app/my-healthcheck.sh
"""


def test_only_the_lines_that_run_the_program_are_retired():
    text, lines = retire(CRONTAB, ["healthcheck.sh"], users=False)
    assert lines == ["*/5 * * * * /srv/app/deployment/healthcheck.sh >/dev/null 2>&1"]
    assert [one for one in text.splitlines() if one not in CRONTAB.splitlines()] == [
        f"# runbook.ops monitors instead: {lines[0]}"
    ]


def test_what_was_retired_is_not_retired_again():
    text, _lines = retire(CRONTAB, ["healthcheck.sh"], users=False)
    assert retire(text, ["healthcheck.sh"], users=False) == (text, [])


def test_what_was_retired_comes_back_as_it_was():
    text, lines = retire(CRONTAB, ["healthcheck.sh"], users=False)
    assert reinstate(text) == (CRONTAB, lines)
