# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evening review sees what stopped and what fails, on a real host, and cannot write."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from .conftest import Host

LOG = "/var/log/nginx/access.log"
REQUESTS = """
stat -c %s {log} > /dev/shm/size
stamp=$(date '+%d/%b/%Y:%H:%M:%S %z')
for number in $(seq 40); do
  echo "203.0.113.9 - - [$stamp] \\"GET /api/v1/sync?token=withered HTTP/1.1\\" 502 17 \\"-\\" \\"-\\"" >> {log}
done
"""


@pytest.fixture
def changed(host: Host) -> Iterator[Host]:
    """Return a host on which rows and lines may be added, and take them away again."""
    yield host
    host.sql("DELETE FROM sync_data WHERE data_type = 'withered'")
    host(f"test ! -e /dev/shm/size || truncate -s $(cat /dev/shm/size) {LOG}; rm -f /dev/shm/size")


@pytest.mark.usefixtures("untouched")
def test_a_day_as_usual_passes_and_changes_nothing(host: Host) -> None:
    outcome = host.play("evening_review")
    assert outcome.code == 0, outcome.text
    (line,) = outcome.lines_with("sync operations")
    assert "mail: operations" in line


def test_a_type_of_data_that_stopped_is_a_warning(changed: Host) -> None:
    changed.sql(
        "INSERT INTO sync_data (user_id, data_type, payload, created_at)"
        " VALUES (1, 'withered', '{}', date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '30 hours')"
    )
    outcome = changed.play("evening_review")
    (line,) = outcome.lines_with("sync operations", "missing since the period before")
    assert "warning" in line
    assert "withered" in line


def test_the_error_rate_is_a_rate(changed: Host) -> None:
    changed(REQUESTS.format(log=LOG))
    outcome = changed.play("evening_review")
    (line,) = outcome.lines_with("Error rate nginx access", "requests failed")
    assert "warning" in line
    assert "most at /api/v1/sync (40)" in line
    found = re.search(r"(\d+) times 502", line)
    assert found is not None
    assert int(found[1]) >= 40  # other tests made requests fail, too
    assert "withered" not in outcome.text


@pytest.mark.usefixtures("untouched")
def test_a_statement_that_would_write_is_refused(host: Host) -> None:
    query = {
        "probe": "query",
        "name": "evil",
        "database": "owlivion_sync",
        "statement": "DELETE FROM users RETURNING 1",
    }
    outcome = host.play(
        "evening_review", variables={"evening_review_probes": [query], "evening_review_fail_on": "unknown"}
    )
    assert outcome.code != 0
    assert outcome.lines_with("evil", "did not tell")
