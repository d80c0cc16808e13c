# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Five dumps that are damaged, three ways: the runbooks' line, postgresql_db of community.postgresql, and ours.

Ours must fail, and leave what was there as it was. What the other two do is only noted: docs/reliability.md has the table, and the
test compares it. It installs community.postgresql into the cache.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmark"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "campaign"))
import postgresql_db
from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import check
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import list_backups
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup import BackupError
from ansible_collections.runbook.ops.plugins.module_utils._pg_backup import run as pg_backup
from pg_cluster import Cluster
from restore_module import run as pg_restore

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- begin: compared by tests/local/test_damaged_dumps.py -->", "<!-- end: compared -->"
ROWS = 500
FILL = """
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO users SELECT g, md5(g::text) FROM generate_series(1, 500) g;
CREATE ROLE reader LOGIN;
"""
KEYS = "SELECT count(*) FROM pg_constraint WHERE conrelid = 'users'::regclass AND contype = 'p'"


class Shop:
    """A server with a live database, and its dump."""

    def __init__(self, cluster: Cluster, place: Path) -> None:
        self.cluster, self.place = cluster, place
        cluster.sql("CREATE DATABASE shop")
        cluster.sql(FILL, "shop")
        self.dump = cluster.run("pg_dump", *cluster.target("shop"))
        self.socket = str(cluster.directory)

    def holds(self, database: str) -> str:
        """Return how much of what was saved is in a database."""
        try:
            rows = int(self.cluster.sql("SELECT count(*) FROM users", database))
        except RuntimeError:
            return "no table"
        key = "" if int(self.cluster.sql(KEYS, database)) else ", no primary key"
        return f"{'all' if rows == ROWS else rows} of {ROWS} rows{key}"

    def shell(self, line: str) -> int:
        """Return the exit code of a line, as a runbook has it."""
        environment = {"PGHOST": self.socket, "PGPORT": str(self.cluster.port), "PGUSER": self.cluster.user}
        path = f"{self.cluster.binaries}:/usr/bin:/bin"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        argv = ["sh", "-c", line]
        return subprocess.run(argv, env={"PATH": path, **environment}, check=False, timeout=60, **quiet).returncode  # type: ignore[call-overload, no-any-return]

    def module(self, **options: Any) -> str:
        """Return what postgresql_db reports."""
        login = {"login_unix_socket": self.socket, "login_port": self.cluster.port, "login_user": self.cluster.user}
        result = postgresql_db.run(**{**login, **options})
        return "failed" if result.get("failed") else "changed" if result.get("changed") else "ok"

    def empty(self, name: str) -> str:
        """Return a new database, which is where a runbook restores to."""
        self.cluster.sql(f"DROP DATABASE IF EXISTS {name}")
        self.cluster.sql(f"CREATE DATABASE {name}")
        return name

    def back_up(self, directory: Path, **more: Any) -> str:
        """Return what pg_backup says: a failure in one line."""
        options = {"database": "shop", "directory": str(directory), "set": "shop", "login_unix_socket": self.socket}
        login = {"login_port": self.cluster.port, "login_user": self.cluster.user}
        try:
            pg_backup({**options, **login, **more})
        except BackupError as exc:
            assert "\n" not in str(exc)
            return "failed"
        return "changed"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with Cluster() as cluster:
        yield Shop(cluster, tmp_path_factory.mktemp("dumps"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(place)], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def packed(path: Path) -> str:
    """Return what stands at ``path`` after a dump into it."""
    if not path.exists():
        return "no file"
    good = subprocess.run(["gzip", "-t", str(path)], capture_output=True, check=False).returncode == 0
    rows = gzip.decompress(path.read_bytes()).count(b"\n") if good else 0
    return "an empty archive" if good and not rows else "a whole archive" if good else "a file that is cut off"


def told(what: str, *ways: str) -> None:
    """Compare a row with the page."""
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index(BEGIN) : text.index(END)]
    row = f"| {' | '.join([what, *ways])} |"
    assert row in table, f"docs/reliability.md has another row between {BEGIN} and {END}; it should be:\n{row}"


def test_the_page_names_the_version_that_was_tried() -> None:
    assert f"`postgresql_db` {postgresql_db.version()}" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("what", "damage"),
    [
        pytest.param(
            "Restore: a bad line in `COPY`", lambda text: text.replace("\n7\t", "\nseven\t", 1), id="a bad line"
        ),
        pytest.param("Restore: cut off within a table", lambda text: text[: text.index("\n200\t") + 1], id="cut off"),
    ],
)
def test_a_damaged_dump_is_not_restored(shop: Shop, what: str, damage: Callable[[str], str]) -> None:
    dump = shop.cluster.directory / "damaged.sql"
    dump.write_text(damage(shop.dump))
    dump.chmod(0o644)
    code = shop.shell(f"psql {shop.empty('by_hand')} < {dump}")
    by_hand = f"exit code {code}; {shop.holds('by_hand')}"
    said = shop.module(name=shop.empty("by_module"), state="restore", target=str(dump))
    by_module = f"{said}; {shop.holds('by_module')}"
    result = pg_restore(shop.cluster, "shop", "prepared", backup=str(dump), accept_unproven="a test")
    assert result["failed"] and "\n" not in result["msg"]
    assert shop.cluster.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'shop\\_%'") == "0"
    told(what, by_hand, by_module, f"failed; the live database has {shop.holds('shop')}")


def test_a_database_that_is_not_there_makes_no_backup(shop: Shop, tmp_path: Path) -> None:
    files = [tmp_path / "by_hand.sql.gz", tmp_path / "by_module.sql.gz"]
    code = shop.shell(f"pg_dump nosuch | gzip > {files[0]}")
    said = shop.module(name="nosuch", state="dump", target=str(files[1]))
    ours = shop.back_up(tmp_path / "ours", database="nosuch")
    assert ours == "failed" and list_backups(tmp_path / "ours", "shop") == []
    told(
        "Dump: of a database that is not there",
        f"exit code {code}; {packed(files[0])}",
        f"{said}; {packed(files[1])}",
        f"{ours}; no backup",
    )


def test_a_full_disk_makes_no_backup(shop: Shop, small_disk: Path) -> None:
    target = small_disk / "dump.sql.gz"
    code = shop.shell(f"pg_dump shop | gzip > {target}")
    by_hand = f"exit code {code}; {packed(target)}"
    target.unlink()
    by_module = f"{shop.module(name='shop', state='dump', target=str(target))}; {packed(target)}"
    target.unlink()
    ours = shop.back_up(small_disk / "ours", min_free_percent=0)
    assert ours == "failed" and list_backups(small_disk / "ours", "shop") == []
    told("Dump: onto a disk that fills up", by_hand, by_module, f"{ours}; no backup")


def test_a_dump_that_fails_leaves_the_last_good_one(shop: Shop, tmp_path: Path) -> None:
    files = [tmp_path / "by_hand.sql.gz", tmp_path / "by_module.sql.gz"]
    for path in files:
        path.write_bytes(gzip.compress(shop.dump.encode()))
    code = shop.shell(f"pg_dump -U reader shop | gzip > {files[0]}")
    said = shop.module(name="shop", state="dump", target=str(files[1]), login_user="reader")
    assert shop.back_up(tmp_path / "ours") == "changed"
    ours = shop.back_up(tmp_path / "ours", login_user="reader")
    (last,) = list_backups(tmp_path / "ours", "shop")
    assert ours == "failed" and check(last).problems == []
    told(
        "Dump: where yesterday's stands, and it fails",
        f"exit code {code}; {packed(files[0])}",
        f"{said}; {packed(files[1])}",
        f"{ours}; the last backup is undamaged",
    )
