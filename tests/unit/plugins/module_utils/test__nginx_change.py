# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof that nginx passes requests on as it was told to."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils import _nginx_change
from ansible_collections.runbook.ops.plugins.module_utils._nginx_change import Nginx, prove
from ansible_collections.runbook.ops.plugins.module_utils._nginx_conf import NginxError


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        pytest.param([None, None, None], 3, id="right three times in a row"),
        pytest.param(["no answer", None, None, None], 4, id="one answer alone took all of the time"),
    ],
)
def test_what_answers_rightly_is_proven(monkeypatch, answers, asked):
    monkeypatch.setattr(_nginx_change, "PAUSE_SECONDS", 0)
    left = list(answers)
    prove(Nginx(lambda: None, lambda: left.pop(0), proof_seconds=0))
    assert len(answers) - len(left) == asked


def test_what_answers_wrongly_once_more_when_the_time_is_over_is_refused(monkeypatch):
    monkeypatch.setattr(_nginx_change, "PAUSE_SECONDS", 0)
    left = ["no answer", None, "another version", None]
    with pytest.raises(NginxError, match="not answered as it should be: another version"):
        prove(Nginx(lambda: None, lambda: left.pop(0), proof_seconds=0))
