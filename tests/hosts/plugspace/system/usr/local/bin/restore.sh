#!/bin/sh
# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
# restore.sh <timestamp> --dry-run --all: says whether a backup could be restored. On this host, it restores nothing.
set -eu
if [ "$#" -ne 3 ] || [ "$2" != --dry-run ] || [ "$3" != --all ]; then
    echo 'use: restore.sh <timestamp> --dry-run --all' >&2
    exit 2
fi
cd "/home/plugspace/backups/$1"
jq --raw-output '.checksums | to_entries[] | "\(.value)  \(.key)"' manifest.json | sha256sum --check --strict
find mongodb -name '*.gz' -exec gzip --test {} +
echo "$1 could be restored"
