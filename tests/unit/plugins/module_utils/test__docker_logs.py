# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Docker is told about the logs of containers: nothing else in its file changes, and nothing at all where it knows."""

from __future__ import annotations

import json

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._docker_logs import bounded


@pytest.mark.parametrize("text", ["", "\n", "{}"])
def test_a_file_that_says_nothing_gets_the_limits(text: str) -> None:
    told = json.loads(bounded(text, max_size_bytes=10_000_000, max_files=3))
    assert told == {"log-opts": {"max-size": "10000000", "max-file": "3"}}


def test_everything_else_stays_in_its_order() -> None:
    text = '{"live-restore": true, "log-opts": {"labels": "a", "max-size": "1g"}, "data-root": "/big"}'
    told = bounded(text, max_size_bytes=500, max_files=2)
    assert list(json.loads(told)) == ["live-restore", "log-opts", "data-root"]
    assert json.loads(told)["log-opts"] == {"labels": "a", "max-size": "500", "max-file": "2"}


@pytest.mark.parametrize("size", ["10m", "10M", "10mb", "10 MB", "10MiB", "10000k", "10000000", "0.01g"])
def test_limits_that_are_there_stay_as_they_are_written(size: str) -> None:
    """To Docker all of these are ten million bytes."""
    text = f'{{ "log-opts":{{"max-size":"{size}","max-file":"3"}} }}'
    assert bounded(text, max_size_bytes=10_000_000, max_files=3) == text


@pytest.mark.parametrize(
    "options",
    ['{"max-size": "10m"}', '{"max-size": "10m", "max-file": "4"}', '{"max-file": "3"}', '{"max-size": "-1"}', "null"],
)
def test_others_are_replaced_and_a_second_time_changes_nothing(options: str) -> None:
    text = f'{{"log-driver": "local", "log-opts": {options}}}'
    told = bounded(text, max_size_bytes=10_000_000, max_files=3)
    assert told != text
    assert bounded(told, max_size_bytes=10_000_000, max_files=3) == told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not what Docker reads"),
        ("[]", "is not what Docker reads"),
        ('{"log-opts": ["max-size"]}', "is not what Docker reads"),
        ('{"log-driver": "journald"}', "to journald, which keeps it as long as it is told"),
        ('{"log-driver": "local"}', "it needs two"),
        ('{"log-opts": {"compress": "true"}}', "it needs two"),
    ],
)
def test_what_cannot_be_told_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        bounded(text, max_size_bytes=1, max_files=1)


def test_one_file_will_do_where_nothing_is_compressed() -> None:
    text = '{"log-driver": "local", "log-opts": {"compress": "false"}}'
    assert json.loads(bounded(text, max_size_bytes=1, max_files=1))["log-opts"]["max-file"] == "1"


def test_nothing_is_no_limit() -> None:
    with pytest.raises(ValueError, match="is nothing"):
        bounded("", max_size_bytes=0, max_files=3)


def test_numbers_that_docker_does_not_read_become_texts() -> None:
    told = bounded('{"log-opts": {"max-size": "10m", "max-file": 3}}', max_size_bytes=10_000_000, max_files=3)
    assert json.loads(told)["log-opts"]["max-file"] == "3"
