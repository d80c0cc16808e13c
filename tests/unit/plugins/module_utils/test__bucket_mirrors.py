# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which buckets have a mirror, and how both are asked."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._bucket_mirrors import MirrorError, plan_mirrors
from ansible_collections.runbook.ops.plugins.module_utils._health_stores import secrets

KEYS = {"access_key": "AK", "secret_key": "very secret"}
LIVE = {"name": "live", "bucket": "l", "region": "auto", "endpoint": "https://s3.test", "mirror": "copy", **KEYS}
COPY = {"name": "copy", "bucket": "c", "region": "eu-1", "prefix": "x/", "encryption": "AES256", **KEYS}


def test_a_mirror_is_planned_without_a_secret_in_it():
    system = {"buckets": [LIVE, COPY]}
    (plan,) = plan_mirrors(system)
    assert plan["source"] == {"bucket": "l", "region": "auto", "endpoint": "https://s3.test"}
    assert plan["target"] == {"bucket": "c", "region": "eu-1", "prefix": "x/"}
    assert plan["options"] == {"server_side_encryption": "AES256"}
    assert "very secret" not in str(plan)
    named = secrets(system)
    assert {named[name] for side in plan["secrets"].values() for name in side.values()} == set(KEYS.values())


def test_the_mirror_is_asked_for_the_encryption_that_it_is_described_with():
    (plan,) = plan_mirrors({"buckets": [{**LIVE, "encryption": "AES256"}, {**COPY, "encryption": "aws:kms:key-1"}]})
    assert plan["options"] == {"server_side_encryption": "aws:kms", "kms_key_id": "key-1"}
    with pytest.raises(ValueError, match=r"'copy'.encryption is 'strong'"):
        plan_mirrors({"buckets": [LIVE, {**COPY, "encryption": "strong"}]})


def test_nothing_is_planned_where_nothing_has_a_mirror():
    assert plan_mirrors({"buckets": [COPY]}) == []


@pytest.mark.parametrize(
    ("buckets", "names", "words"),
    [
        pytest.param(
            [LIVE, COPY],
            ["other"],
            "no bucket of ops_buckets with a mirror is called 'other' .* live",
            id="an unknown name",
        ),
        pytest.param(
            [LIVE], [], "'live'.mirror names 'copy': this host knows no such bucket", id="a mirror that is not here"
        ),
        pytest.param([LIVE, {**COPY, "secret_key": None}], [], "'copy' has no secret_key", id="no key"),
    ],
)
def test_a_mirror_that_cannot_be_made_is_told_by_its_variable(buckets, names, words):
    with pytest.raises(MirrorError, match=words):
        plan_mirrors({"buckets": buckets}, names)
