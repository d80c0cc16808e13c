#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: keep copies of whole backups in object storage, and fetch them back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_offsite
short_description: Keep copies of backups in object storage
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Copies the whole backups of one set into a bucket of S3 or of what speaks it, such as R2 or MinIO, lists them there, fetches
    one back, or deletes old ones. Speaks the protocol itself; nothing has to be installed.
  - Every file is hashed while it is read and compared with the backup's own checksums, so a damaged backup is not copied. After
    the upload it is compared again, as O(compare) says. Only then a marker, C(COMPLETE.json), is written. Without it a copy is
    not listed, not fetched, and counts for nothing.
  - A broken upload is gone on with by the next run, large files part by part. What is there already is not sent again.
  - Only names C(<set>_<YYYYMMDD>T<HHMMSS>Z/) below O(prefix) are looked at. Give each host and set a prefix of its own.
extends_documentation_fragment:
  - runbook.ops.attributes.full
options:
  state:
    description:
      - V(copied) copies the backups of O(directory) that are not there yet, the newest first.
      - V(listed) only looks.
      - V(fetched) brings the copy O(name) into O(directory), where it appears when it has been proven.
      - V(pruned) deletes the copies that O(keep) lets go.
    type: str
    choices: [copied, listed, fetched, pruned]
    default: copied
  set:
    description: Name of the set, which the names of its backups begin with.
    type: str
    required: true
  directory:
    description: Directory of the backups on this host. Needed for O(state=copied) and O(state=fetched).
    type: path
  name:
    description: The copy to fetch. V(latest) is the newest one that is complete.
    type: str
    default: latest
  newest:
    description: Copy so many of the newest backups at most. Without it, all that O(keep) would not let go there at once.
    type: int
  keep:
    description: What stays there, by the rules of M(runbook.ops.backup_rotate). Needed for O(state=pruned).
    type: dict
    suboptions:
      last:
        description: So many of the newest copies; V(-1) means all, here and below.
        type: int
      hourly:
        description: The newest copy of each hour, for so many hours that have one.
        type: int
      daily:
        description: The newest copy of each day, for so many days that have one.
        type: int
      weekly:
        description: The newest copy of each ISO week, for so many weeks that have one.
        type: int
      monthly:
        description: The newest copy of each month, for so many months that have one.
        type: int
      yearly:
        description: The newest copy of each year, for so many years that have one.
        type: int
      within:
        description: All at most this much older than the newest one, such as V(90d); a number is seconds.
        type: str
        aliases: [within_seconds]
  minimum:
    description: So many of the newest complete copies stay whatever O(keep) says, one at the least.
    type: int
    default: 3
  max_delete_percent:
    description: Refuse to delete a larger share of the copies in one run, because it looks like a mistake in O(keep).
    type: int
    default: 90
  incomplete_after:
    description:
      - With O(state=pruned), what is left of an upload that was never completed is deleted where nothing was written to it for
        so long and a newer copy is complete.
    type: str
    default: 7d
  max_age:
    description: The newest complete copy is reported as late when older, such as V(26h). Without it age is not judged.
    type: str
  bucket:
    description: Name of the bucket. It must exist.
    type: str
    required: true
  endpoint:
    description: URL of the storage, without a path. Without it that of AWS in O(region).
    type: str
  region:
    description: Its region; R2 calls it V(auto).
    type: str
    default: us-east-1
  prefix:
    description: What the names of the objects begin with. Nothing else in the bucket is touched.
    type: str
    default: ""
  access_key:
    description: Identifier of the access key.
    type: str
    required: true
  secret_key:
    description: Its secret part. It never leaves the host; requests are signed with it.
    type: str
    required: true
  session_token:
    description: Token of a temporary access key.
    type: str
  verify:
    description: Check the server's certificate.
    type: bool
    default: true
  ca_path:
    description: File of certificates to trust instead of the system's store.
    type: path
  compare:
    description:
      - How an upload is proven. V(content) reads every byte back. V(checksum) compares with the SHA-256 that the storage has
        computed of what it received, part by part, and reads back where it tells none.
      - V(auto) is V(content) for backups smaller than 1 GiB, else V(checksum).
    type: str
    choices: [auto, content, checksum]
    default: auto
  server_side_encryption:
    description: Encryption to ask for. A copy that is not encrypted so is a failure. Without it the bucket's default.
    type: str
    choices: [AES256, 'aws:kms']
  kms_key_id:
    description: Key for V(aws:kms). Without it the account's default key.
    type: str
  storage_class:
    description:
      - Storage class of the payload, such as V(STANDARD_IA). Without it the bucket's default.
      - Of an archive class nothing can be read back at once, so set O(compare=checksum) with it.
    type: str
  checksums:
    description: Let the storage compute SHA-256 too. Say V(false) where the provider does not know C(x-amz-checksum-sha256).
    type: bool
    default: true
  part_size:
    description: Larger files are sent in parts of this size, from V(5MiB) to V(5GiB).
    type: str
    default: 64MiB
  jobs:
    description: So many requests at a time.
    type: int
    default: 4
  timeout_seconds:
    description:
      - How many seconds may pass without a byte. A request has one second more for each 32 KiB that it carries.
    type: int
    default: 60
  retry_seconds:
    description: For so many seconds a request is tried again that failed for a reason that can pass, with growing pauses.
    type: int
    default: 300
notes:
  - The access key needs C(s3:ListBucket), C(s3:ListBucketMultipartUploads), C(s3:GetObject), C(s3:PutObject),
    C(s3:ListMultipartUploadParts) and C(s3:AbortMultipartUpload); C(s3:DeleteObject) for O(state=pruned) only.
  - In a bucket with versions a deleted copy stays as an old version, and costs, until a lifecycle rule of the bucket ends it.
    Versions are never deleted here.
seealso:
  - module: runbook.ops.backup_rotate
"""

EXAMPLES = r"""
- name: Copy the backups that are not there yet, and prove each copy
  runbook.ops.backup_offsite:
    set: shop
    directory: /var/backups/shop
    bucket: shop-backups
    prefix: web-1
    access_key: "{{ vault_backup_access_key }}"
    secret_key: "{{ vault_backup_secret_key }}"
    server_side_encryption: AES256
    keep: {daily: 14, weekly: 8, monthly: 12}

- name: Bring the newest copy to a new host
  runbook.ops.backup_offsite:
    state: fetched
    set: shop
    directory: /var/backups/shop
    bucket: shop-backups
    prefix: web-1
    access_key: "{{ vault_backup_access_key }}"
    secret_key: "{{ vault_backup_secret_key }}"
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be, in order.
  returned: success
  type: list
  elements: str
copies:
  description:
    - The complete copies afterwards, or in check mode as they would be, oldest first, with C(name), C(taken_at), C(identity), C(kind),
      C(host), C(size) in bytes, C(files), C(copied_at), C(compared) and C(drilled_at), when that backup was last restored as a test.
  returned: success
  type: list
  elements: dict
incomplete:
  description: What is there and does not count, with C(name), C(fault) and C(size) in bytes.
  returned: success
  type: list
  elements: dict
path:
  description: Where the fetched backup is; null in other states.
  returned: success
  type: str
bytes_sent:
  description: Bytes of files that were uploaded.
  returned: success
  type: int
bytes_read_back:
  description: Bytes that were read back to compare them.
  returned: success
  type: int
versioned:
  description: With O(state=pruned), whether the bucket keeps what is deleted as old versions; null where it does not tell.
  returned: success
  type: bool
checks:
  description: Whether there is a complete copy, whether it is late, whether one is damaged.
  returned: success
  type: list
  elements: dict
changes:
  description: What changed, or in check mode would.
  returned: success
  type: list
  elements: dict
"""

from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import SetError
from ansible_collections.runbook.ops.plugins.module_utils._offsite_plan import OffsiteError
from ansible_collections.runbook.ops.plugins.module_utils._offsite_run import run
from ansible_collections.runbook.ops.plugins.module_utils._retention import COUNTED
from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import S3Error

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["copied", "listed", "fetched", "pruned"], "default": "copied"},
    "set": {"type": "str", "required": True},
    "directory": {"type": "path"},
    "name": {"type": "str", "default": "latest"},
    "newest": {"type": "int"},
    "keep": {
        "type": "dict",
        "options": {
            **{rule: {"type": "int"} for rule in COUNTED},
            "within": {"type": "str", "aliases": ["within_seconds"]},
        },
    },
    "minimum": {"type": "int", "default": 3},
    "max_delete_percent": {"type": "int", "default": 90},
    "incomplete_after": {"type": "str", "default": "7d"},
    "max_age": {"type": "str"},
    "bucket": {"type": "str", "required": True},
    "endpoint": {"type": "str"},
    "region": {"type": "str", "default": "us-east-1"},
    "prefix": {"type": "str", "default": ""},
    "access_key": {"type": "str", "required": True, "no_log": True},
    "secret_key": {"type": "str", "required": True, "no_log": True},
    "session_token": {"type": "str", "no_log": True},
    "verify": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "compare": {"type": "str", "choices": ["auto", "content", "checksum"], "default": "auto"},
    "server_side_encryption": {"type": "str", "choices": ["AES256", "aws:kms"]},
    "kms_key_id": {"type": "str", "no_log": False},
    "storage_class": {"type": "str"},
    "checksums": {"type": "bool", "default": True},
    "part_size": {"type": "str", "default": "64MiB"},
    "jobs": {"type": "int", "default": 4},
    "timeout_seconds": {"type": "int", "default": 60},
    "retry_seconds": {"type": "int", "default": 300},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_if=[
            ("state", "copied", ["directory"]),
            ("state", "fetched", ["directory"]),
            ("state", "pruned", ["keep"]),
        ],
    )
    try:
        result = run(module.params, now=lambda: datetime.now(timezone.utc), check_mode=module.check_mode)
    except OffsiteError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except (S3Error, SetError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=f"{exc.filename or 'the backups'}: {exc.strerror or exc}: remove the cause and run again")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
