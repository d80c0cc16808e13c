# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which metrics an expression reads."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._promql import metric_names


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        pytest.param("up", ["up"], id="one"),
        pytest.param('up{job="node_load5 or x"} offset 5m', ["up"], id="labels and words are none"),
        pytest.param('sum by (instance, le) (rate(http_seconds_bucket{a=~"b.*"}[5m]))', ["http_seconds_bucket"], id="functions are none"),
        pytest.param("sum(a) without (b) / on (c) group_left (d) e", ["a", "e"], id="labels of an operator"),
        pytest.param("histogram_quantile(0.95, x) > bool 1e3 and y != Inf", ["x", "y"], id="numbers"),
        pytest.param("instance:cpu:rate5m{}[30d:5m] + instance:cpu:rate5m", ["instance:cpu:rate5m"], id="a recorded one, once"),
        pytest.param("100 * (1 - a / b)", ["a", "b"], id="arithmetic"),
        pytest.param("vector(1)", [], id="no metric"),
    ],
)  # fmt: skip
def test_names_are_found(expression, names):
    assert metric_names(expression) == names
