# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong values and sick hosts: one line that says what to do, exit status not 0, nothing changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from .conftest import ROOT, Host

DESCRIPTION = yaml.safe_load((ROOT / "inventories/owlivion/group_vars/owlivion/main.yml").read_text(encoding="utf-8"))
DATABASE = DESCRIPTION["ops_databases"][0]


def thresholds(**changed: object) -> dict[str, object]:
    return {"ops_thresholds": DESCRIPTION["ops_thresholds"] | changed}


def database(**changed: object) -> dict[str, object]:
    return {"ops_databases": [DATABASE | changed]}


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("variables", "words"),
    [
        pytest.param(
            thresholds(disk_percnt={"warning": 80}),
            ["ops_thresholds.disk_percnt", "disk_percent"],
            id="a misspelt key is refused and the nearest one named",
        ),
        pytest.param(
            thresholds(disk_percent={"warning": -1}),
            ["ops_thresholds.disk_percent.warning", "-1"],
            id="a negative threshold is refused",
        ),
        pytest.param({"ops_databses": []}, ["ops_databses", "ops_databases"], id="a misspelt variable is refused"),
        pytest.param(
            database(host="127.0.0.1", user="owlivion", password="not-the-password"),
            ["owlivion_sync", "password"],
            id="a wrong database password is named",
        ),
        pytest.param(database(name="no_such_db"), ["no_such_db"], id="a database that does not exist is named"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(host: Host, variables: dict[str, object], words: list[str]) -> None:
    if "ops_databases" in variables:  # the services' health definitions point at the database by name
        name = variables["ops_databases"][0]["name"]
        services = [
            service | {"health": {"database": name}} if service["name"] == "postgresql" else service
            for service in DESCRIPTION["ops_services"]
        ]
        variables = variables | {"ops_services": services}
    outcome = host.play("weekly_maintenance", variables=variables)
    assert outcome.code != 0
    assert outcome.lines_with(*words), outcome.text
    assert "not-the-password" not in outcome.text


@pytest.fixture
def no_pm2(host: Host) -> Iterator[None]:
    """PM2's programs are gone; its daemon and the application go on."""
    path = host("readlink -f $(command -v pm2)").strip()
    link = host("command -v pm2").strip()
    host(f"mv {link} /root/pm2.aside")
    yield
    host(f"mv /root/pm2.aside {link}; test -e {path}")


@pytest.mark.usefixtures("untouched", "no_pm2")
def test_a_missing_pm2_is_named(host: Host) -> None:
    outcome = host.play("weekly_maintenance")
    assert outcome.code != 0
    assert outcome.lines_with("PM2 is not installed", "npm install"), outcome.text


@pytest.fixture
def no_postgresql(host: Host) -> Iterator[None]:
    host("systemctl stop postgresql 'postgresql@*.service'")
    yield
    host("systemctl start postgresql; until runuser -u postgres -- pg_isready -q; do sleep 0.2; done")


@pytest.mark.usefixtures("no_postgresql")
def test_a_stopped_postgresql_is_named_and_nothing_is_started(host: Host) -> None:
    before = host.fingerprint()
    outcome = host.play("weekly_maintenance")
    assert outcome.code != 0
    assert outcome.lines_with("owlivion_sync", "is the server running"), outcome.text
    assert host.fingerprint() == before


@pytest.mark.usefixtures("no_postgresql")
def test_the_health_check_tells_the_database_is_down(host: Host) -> None:
    outcome = host.play("health_check")
    assert outcome.code != 0
    assert outcome.lines_with("owlivion_sync"), outcome.text


@pytest.mark.usefixtures("untouched")
def test_preflight_only_reads(host: Host) -> None:
    outcome = host.play("weekly_maintenance", "--tags", "preflight")
    assert outcome.code == 0, outcome.text


def test_a_host_that_cannot_be_reached_is_said_to_be_unreachable(host: Host) -> None:
    outcome = host.play("weekly_maintenance", variables={"ansible_port": 1})
    assert outcome.code == 4
    assert outcome.lines_with("owlivion-1", "UNREACHABLE"), outcome.text
