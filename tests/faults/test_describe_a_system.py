# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A system that nobody here knew, described as its page says, on two hosts that need each other."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .conftest import HOSTS, ROOT, Host, Outcome

PAGE = ROOT / "docs" / "describe_a_system.md"
NAMES = ("orchard-store", "orchard-web")
# Where these tests run once for each host of another system, once of those is enough: they bring their own.
pytestmark = pytest.mark.skipif(
    os.environ.get("RUNBOOK_TEST_HOSTS", "owlivion-12").split()[0] != "owlivion-12", reason="runs beside owlivion-12"
)


@dataclass(frozen=True)
class Orchard:
    """The two hosts, and the inventory that the page leads to."""

    inventory: Path
    overlays: tuple[str, ...]

    def play(self, playbook: str, *options: str) -> Outcome:
        """Run a playbook to its end."""
        inventories = [word for one in (str(self.inventory), *self.overlays) for word in ("-i", one)]
        done = subprocess.run(
            ["ansible-playbook", f"playbooks/{playbook}.yml", *inventories, *options],
            cwd=ROOT,
            env=os.environ | {"NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Outcome(done.returncode, done.stdout + done.stderr)

    def look(self, *options: str) -> tuple[Outcome, dict[str, dict[str, dict[str, Any]]]]:
        """Return what the health check came to, and by host and by name what it found."""
        report = f"{self.inventory.parent}/{{{{ inventory_hostname }}}}.json"
        outcome = self.play("health_check", "-e", json.dumps({"health_report_path": report}), *options)
        told = {name: json.loads((self.inventory.parent / f"{name}.json").read_text("utf-8")) for name in NAMES}
        return outcome, {name: {check["name"]: check for check in one["checks"]} for name, one in told.items()}


def hosts(*argv: str) -> str:
    done = subprocess.run([sys.executable, str(HOSTS), *argv], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def orchard(tmp_path_factory: pytest.TempPathFactory) -> Orchard:
    """Return the hosts, described by the files that the page shows, and nothing else."""
    hosts("up", *NAMES)
    inventory = tmp_path_factory.mktemp("inventories") / "orchard"
    for shown in re.findall(r"```yaml\n(# inventories/orchard/.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        path = inventory / shown.partition("\n")[0].removeprefix("# inventories/orchard/")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(shown)
    return Orchard(inventory, tuple(hosts("inventory", name) for name in NAMES))


@pytest.fixture
def no_database() -> Iterator[None]:
    """Stop the database that the shop needs, for the time of a test; its log forgets it."""
    store, web = (Host(name, Path()) for name in NAMES)
    store("systemctl stop 'postgresql@*.service'")
    yield
    store("systemctl start postgresql@15-main.service")
    web("truncate --size=0 /home/pomona/.pm2/logs/*.log")


def bad(checks: dict[str, dict[str, Any]]) -> set[str]:
    """Return the names of those checks that are not in order, without those of the machine that all hosts share."""
    return {name for name, check in checks.items() if check["status"] != "ok" and check["section"] != "Host"}


def test_all_that_the_page_describes_is_looked_at_and_found_in_order(orchard: Orchard) -> None:
    outcome, found = orchard.look()
    assert outcome.code == 0, outcome.text
    assert {name: bad(checks) for name, checks in found.items()} == {name: set() for name in NAMES}
    web, store = set(found["orchard-web"]), set(found["orchard-store"])
    assert {"orchard-shop health", "orchard-courier health", "shop", "courier", "baskets from here"} <= web
    assert {"harvest connections", "baskets memory", "nightly age", "Port 6390 (baskets)"} <= store
    assert not {"harvest connections", "nightly age"} & web, "what the other host has is the other host's"


@pytest.mark.usefixtures("no_database")
def test_a_database_that_is_down_is_the_reason_there_and_explains_what_fails_here(orchard: Orchard) -> None:
    outcome, found = orchard.look()
    assert outcome.code != 0
    web, store = found["orchard-web"], found["orchard-store"]
    assert bad(store) == {"postgresql@*", "harvest", "Port 5477 (harvest)"}
    assert {store[name]["because"] for name in bad(store)} == {None, store["postgresql@*"]["id"]}
    written = {"log of the shop"}  # once the shop was asked
    assert bad(web) - written == {"harvest from here", "orchard-shop health", "shop"}
    assert web["harvest from here"]["because"] is None
    assert {web[name]["because"] for name in ("orchard-shop health", "shop")} == {web["harvest from here"]["id"]}


@pytest.mark.parametrize("playbook", ["health_check", "install_monitoring"])
def test_a_host_that_does_not_exist_is_refused_before_any_is_touched(orchard: Orchard, playbook: str) -> None:
    wrong = {"ops_redis": [{"name": "baskets", "hosts": ["orchard-stor"]}]}
    outcome = orchard.play(playbook, "--tags", "preflight", "-e", json.dumps(wrong))
    assert outcome.code != 0
    assert outcome.lines_with("ops_redis[0].hosts[0] is 'orchard-stor'", "did you mean orchard-store?"), outcome.text
    assert not outcome.lines_with("Look at everything"), outcome.text


def test_a_password_that_is_still_empty_in_the_vault_is_named_where_it_is_needed(orchard: Orchard) -> None:
    outcome, found = orchard.look("-e", '{"vault_orchard_baskets_password": ""}')
    assert bad(found["orchard-store"]) == {"baskets"}
    assert "password" in found["orchard-store"]["baskets"]["remedy"], outcome.text
    assert bad(found["orchard-web"]) == set()


@pytest.mark.parametrize("playbook", ["diagnose", "service_status", "weekly_maintenance"])
def test_the_other_playbooks_understand_it_too(orchard: Orchard, playbook: str) -> None:
    outcome = orchard.play(playbook, "--check", "-e", f"diagnosis_path={orchard.inventory.parent}/bundle.tar.gz")
    assert outcome.code == 0, outcome.text
    assert not outcome.lines_with("failed"), outcome.text
