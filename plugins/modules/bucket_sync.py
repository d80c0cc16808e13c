#!/usr/bin/python
# Copyright: the runbook.ops authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: let one bucket, or directory, hold what another one does, without losing what was there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bucket_sync
short_description: Keep a copy of a bucket, and bring objects back from it
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Copies what is new or different from one bucket of S3, or of what speaks it, to another bucket or to a directory, or back from
    there. Speaks the protocol itself; nothing has to be installed.
  - Where both buckets are at one place the storage copies by itself. Else objects pass through this host, and are compared with what
    the storage says of their content.
  - Refuses to act where too much would be deleted or replaced, or the source has lost too much since it was last copied, because that
    looks like a deletion by mistake, an encryption by an intruder, or a wrong key or name.
  - Deletes nothing in a bucket that keeps no versions, unless O(delete) says so. Deletions come last, when everything was copied.
  - Lists both places again afterwards, compares them, and writes down in the target how much is there, C(.bucket_sync.json).
  - A run that is broken off, or killed, is gone on with by the next one.
extends_documentation_fragment:
  - runbook.ops.attributes.full
  - runbook.ops.change.fence
options:
  state:
    description:
      - V(synced) copies. V(compared) only looks, and tells what is missing or different, whether somebody else has changed the copy, and
        when the last run has finished.
    type: str
    choices: [synced, compared]
    default: synced
  name:
    description: Name for people. Without it, the target.
    type: str
  source:
    description: What is copied.
    type: dict
    required: true
    suboptions: &place
      bucket:
        description: Name of the bucket. It must exist.
        type: str
      prefix:
        description: What the names of the objects begin with. Nothing else in the bucket is looked at.
        type: str
        default: ""
      endpoint:
        description: URL of the storage, without a path. Without it that of AWS in its region.
        type: str
      region:
        description: Its region; R2 calls it V(auto).
        type: str
        default: us-east-1
      access_key:
        description: Identifier of the access key.
        type: str
      secret_key:
        description: Its secret part. It never leaves the host; requests are signed with it.
        type: str
      session_token:
        description: Token of a temporary access key.
        type: str
      directory:
        description: A directory on this host, instead of a bucket.
        type: path
  target:
    description:
      - Where it is copied to. In a directory, what is replaced or deleted is kept in C(.bucket_sync/history).
    type: dict
    required: true
    suboptions: *place
  only:
    description:
      - Names of objects, below the prefix; one that ends with a slash means all below it. Everything without it.
      - Nothing but these is looked at, so nothing else is deleted.
    type: list
    elements: str
    default: []
  as_of:
    description:
      - Copy what the source held at this moment, such as V(2026-11-20T22:00:00Z), from its versions. The target may be the source then.
    type: str
  delete:
    description:
      - Whether what is no longer in the source is deleted in the target. V(versioned) does so where the target keeps versions, so that
        the history stays.
    type: str
    choices: [never, versioned, always]
    default: versioned
  max_delete_percent:
    description: Refuse to delete a larger share of the target, and to work with a source that has lost a larger share since the last run.
    type: float
    default: 30
  max_replace_percent:
    description: Refuse to replace a larger share of the target by objects of the same names.
    type: float
    default: 50
  copy:
    description:
      - V(auto) lets the storage copy where both buckets have the same endpoint and access key. V(server) always does, with the target's
        key, which must be allowed to read the source. V(stream) never does.
    type: str
    choices: [auto, server, stream]
    default: auto
  max_age:
    description:
      - With O(state=compared), objects may be missing in the target for so long, and the last run may have finished so long ago, such as
        V(26h). Without it nothing may be missing that was there before the last run began, and the run's age is not judged.
    type: str
  versioning:
    description: Warn where the target keeps no versions.
    type: bool
    default: true
  object_lock:
    description: Warn where the target has no object lock.
    type: bool
    default: false
  manifest:
    description: Write down in the target what is there after a run. Say V(false) where objects are brought back to a live bucket.
    type: bool
    default: true
  history:
    description: How long a target that is a directory keeps what was replaced or deleted. For ever without it.
    type: str
  work_directory:
    description: Where objects are kept that pass through this host, one for each of O(jobs), and the lock of this target.
    type: path
    default: /var/lib/runbook-ops/buckets
  server_side_encryption:
    description: Encryption to ask for. Without it the bucket's default.
    type: str
    choices: [AES256, 'aws:kms']
  kms_key_id:
    description: Key for V(aws:kms). Without it the account's default key.
    type: str
  storage_class:
    description: Storage class of the copies. Without it the bucket's default.
    type: str
  checksums:
    description: Let the storage compute SHA-256 of uploads too. Say V(false) where it does not know C(x-amz-checksum-sha256).
    type: bool
    default: true
  jobs:
    description: So many requests at a time.
    type: int
    default: 8
  verify:
    description: Check the servers' certificates.
    type: bool
    default: true
  ca_path:
    description: File of certificates to trust instead of the system's store.
    type: path
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
  - The source's key needs C(s3:ListBucket) and C(s3:GetObject); with O(as_of) also C(s3:ListBucketVersions) and C(s3:GetObjectVersion).
  - The target's key needs C(s3:ListBucket), C(s3:GetObject), C(s3:PutObject), C(s3:GetBucketVersioning),
    C(s3:GetBucketObjectLockConfiguration), C(s3:ListBucketMultipartUploads), C(s3:ListMultipartUploadParts) and
    C(s3:AbortMultipartUpload); C(s3:DeleteObject) where it deletes; where the storage copies, also the source's.
  - Tags and access lists of objects are not copied where they pass through this host, or were uploaded in parts.
seealso:
  - module: runbook.ops.backup_offsite
"""

EXAMPLES = r"""
- name: Copy what was uploaded to the bucket of backups
  runbook.ops.bucket_sync:
    source: {bucket: shop-assets, access_key: "{{ vault_key }}", secret_key: "{{ vault_secret }}"}
    target: {bucket: shop-assets-backup, access_key: "{{ vault_key }}", secret_key: "{{ vault_secret }}"}

- name: See what would go back to what it was at ten in the evening
  runbook.ops.bucket_sync:
    source: &bucket {bucket: shop-assets, access_key: "{{ vault_key }}", secret_key: "{{ vault_secret }}"}
    target: *bucket
    as_of: '2026-11-20T22:00:00Z'
    manifest: false
  check_mode: true

- name: Bring back one folder that was deleted, and delete nothing
  runbook.ops.bucket_sync:
    source: {bucket: shop-assets-backup, access_key: "{{ vault_key }}", secret_key: "{{ vault_secret }}"}
    target: {bucket: shop-assets, access_key: "{{ vault_key }}", secret_key: "{{ vault_secret }}"}
    only: [invoices/2026/]
    delete: never
    manifest: false
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be; of each kind the first twenty, and how many more.
  returned: success
  type: list
  elements: str
mirror:
  description:
    - C(source) and C(target); C(objects) and C(bytes) in the target afterwards, and the C(sha256) of their list, null in a
      prediction; C(source_objects); how many were C(new), C(replaced), C(same) and C(gone) before; C(copied), C(bytes_copied), C(deleted),
      and C(moved_on), those that were changed while they were copied; C(left_out), what cannot be a file; C(versioned) and C(object_lock)
      of the target, null where this key may not know.
  returned: success
  type: dict
checks:
  description: Whether the target holds the source, keeps versions, is locked, and when the last run has finished.
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
from ansible_collections.runbook.ops.plugins.module_utils._bucket_ends import SyncError
from ansible_collections.runbook.ops.plugins.module_utils._bucket_sync import run
from ansible_collections.runbook.ops.plugins.module_utils._change_fence import FENCE, fenced
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import LockError
from ansible_collections.runbook.ops.plugins.module_utils._s3_storage import S3Error

PLACE: dict[str, Any] = {
    "bucket": {"type": "str"},
    "prefix": {"type": "str", "default": ""},
    "endpoint": {"type": "str"},
    "region": {"type": "str", "default": "us-east-1"},
    "access_key": {"type": "str", "no_log": True},
    "secret_key": {"type": "str", "no_log": True},
    "session_token": {"type": "str", "no_log": True},
    "directory": {"type": "path"},
}
ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["synced", "compared"], "default": "synced"},
    "name": {"type": "str"},
    "source": {"type": "dict", "required": True, "options": PLACE},
    "target": {"type": "dict", "required": True, "options": PLACE},
    "only": {"type": "list", "elements": "str", "default": []},
    "as_of": {"type": "str"},
    "delete": {"type": "str", "choices": ["never", "versioned", "always"], "default": "versioned"},
    "max_delete_percent": {"type": "float", "default": 30},
    "max_replace_percent": {"type": "float", "default": 50},
    "copy": {"type": "str", "choices": ["auto", "server", "stream"], "default": "auto"},
    "max_age": {"type": "str"},
    "versioning": {"type": "bool", "default": True},
    "object_lock": {"type": "bool", "default": False},
    "manifest": {"type": "bool", "default": True},
    "history": {"type": "str"},
    "work_directory": {"type": "path", "default": "/var/lib/runbook-ops/buckets"},
    "server_side_encryption": {"type": "str", "choices": ["AES256", "aws:kms"]},
    "kms_key_id": {"type": "str", "no_log": False},
    "storage_class": {"type": "str"},
    "checksums": {"type": "bool", "default": True},
    "jobs": {"type": "int", "default": 8},
    "verify": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "timeout_seconds": {"type": "int", "default": 60},
    "retry_seconds": {"type": "int", "default": 300},
}


def main() -> None:
    module = AnsibleModule(argument_spec={**ARGUMENTS, **FENCE}, supports_check_mode=True)
    try:
        with fenced(module.params, check_mode=module.check_mode):
            result = run(module.params, now=lambda: datetime.now(timezone.utc), check_mode=module.check_mode)
    except SyncError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except (LockError, S3Error, ValueError) as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(
            msg=f"cannot work on {exc.filename or 'a temporary file'} ({exc.strerror}); mend that and run again: it goes on from here"
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
