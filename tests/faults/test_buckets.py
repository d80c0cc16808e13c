# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users uploaded: mirrored, lost, brought back, and refused where too much of it is gone. Against moto, a stand-in for S3."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from ._matrix import NAMES, ROOT, Patient, admit

# The stand-in believes whoever says to have a key.
LOGIN = "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
CURL = f"curl --silent --insecure --fail -H 'Authorization: {LOGIN}' -H 'Content-Type: application/octet-stream'"
OBJECTS = {"logo.png": "a logo", "invoices/1.pdf": "one", "invoices/2 ü.pdf": "two", "uploads/a/b": "deep"}


@dataclass(frozen=True)
class Mirrored:
    """A host, a bucket of its system, and the bucket's mirror."""

    patient: Patient
    live: dict[str, Any]
    mirror: dict[str, Any]

    def url(self, bucket: dict[str, Any], name: str) -> str:
        endpoint = bucket.get("endpoint") or f"https://s3.{bucket.get('region', 'us-east-1')}.amazonaws.com"
        return f"{endpoint}/{bucket['bucket']}/{quote(bucket.get('prefix', '') + name)}"

    def put(self, name: str, text: str) -> None:
        self.patient.run(f"{CURL} -X PUT --data-binary '{text}' '{self.url(self.live, name)}'")

    def drop(self, bucket: dict[str, Any], name: str) -> None:
        self.patient.run(f"{CURL} -X DELETE '{self.url(bucket, name)}'")

    def read(self, bucket: dict[str, Any], name: str) -> str:
        return self.patient.run(f"{CURL} '{self.url(bucket, name)}' || echo nothing").strip()

    def play(self, playbook: str, *options: str, **variables: Any) -> tuple[int, str]:
        """Run a playbook to its end and return its exit code and what it said."""
        inventories = ("-i", f"inventories/{self.patient.system.system}", "-i", self.patient.inventory)
        chosen = json.dumps({"bucket_mirror_names": [self.live["name"]], **variables})
        done = subprocess.run(
            ["ansible-playbook", f"playbooks/{playbook}.yml", *inventories, "-e", chosen, *options],
            cwd=ROOT,
            env=os.environ | {"NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(params=NAMES)
def mirrored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirrored]:
    """Return a host whose bucket holds four objects more, and whose mirror holds nothing of them."""
    patient = admit(request.param, tmp_path_factory.mktemp("admitted"))
    buckets = {one["name"]: one for one in patient.system.description().get("ops_buckets") or []}
    live = next((one for one in buckets.values() if one.get("mirror")), None)
    if live is None:
        pytest.skip(f"{request.param} has no bucket with a mirror")
    known = Mirrored(patient, live, buckets[live["mirror"]])
    for name, text in OBJECTS.items():
        known.put(name, text)
    yield known
    for bucket in (known.live, known.mirror):
        for name in (*OBJECTS, ".bucket_sync.json"):
            known.drop(bucket, name)


def test_a_bucket_is_mirrored_and_what_is_lost_comes_back(mirrored: Mirrored) -> None:
    mirror, live = mirrored.mirror, mirrored.live
    code, text = mirrored.play("mirror_buckets", "--check", "--diff")
    assert code == 0, text
    assert mirrored.read(mirror, "logo.png") == "nothing"
    code, text = mirrored.play("mirror_buckets")
    assert code == 0, text
    assert {name: mirrored.read(mirror, name) for name in OBJECTS} == OBJECTS
    code, text = mirrored.play("compare_buckets")
    assert code == 0, text
    mirrored.drop(live, "logo.png")
    mirrored.put("invoices/1.pdf", "damaged")
    wanted = {"bucket_mirror_only": ["logo.png", "invoices/"], "bucket_mirror_max_replace_percent": 100}
    code, text = mirrored.play("restore_bucket", **wanted)
    assert code != 0
    assert "Nothing was touched. This is the plan" in text
    assert mirrored.read(live, "logo.png") == "nothing"
    code, text = mirrored.play("restore_bucket", **wanted, bucket_mirror_confirm=live["name"])
    assert code == 0, text
    assert {name: mirrored.read(live, name) for name in OBJECTS} == OBJECTS
    for name in OBJECTS:
        mirrored.drop(live, name)
    code, text = mirrored.play("mirror_buckets")
    assert code != 0
    assert "Nothing was changed" in text
    assert {name: mirrored.read(mirror, name) for name in OBJECTS} == OBJECTS
