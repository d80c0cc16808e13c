# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill the object storage with what stands in /srv/outside/buckets: a directory a bucket, a file an object.

A bucket with a file ``<bucket>.versioned`` beside its directory keeps earlier versions and encrypts what it holds.
"""

from __future__ import annotations

import time
from pathlib import Path

import boto3  # type: ignore[import-not-found]  # it is in the venv of the storage
from botocore.config import Config  # type: ignore[import-not-found]
from botocore.exceptions import BotoCoreError  # type: ignore[import-not-found]

BUCKETS = Path("/srv/outside/buckets")
ENCRYPTION = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}


def main() -> None:
    storage = boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url="https://s3.us-east-1.amazonaws.com",
        aws_access_key_id="any",
        aws_secret_access_key="any",  # the stand-in checks none
        config=Config(connect_timeout=2, read_timeout=5, retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )
    deadline = time.monotonic() + 20
    while True:
        try:
            storage.list_buckets()
            break
        except BotoCoreError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    for directory in sorted(path for path in BUCKETS.glob("*") if path.is_dir()):
        bucket = directory.name
        storage.create_bucket(Bucket=bucket)
        if directory.with_name(f"{bucket}.versioned").exists():
            storage.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
            storage.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=ENCRYPTION)
        for file in sorted(path for path in directory.rglob("*") if path.is_file()):
            storage.upload_file(str(file), bucket, str(file.relative_to(directory)))


if __name__ == "__main__":
    main()
