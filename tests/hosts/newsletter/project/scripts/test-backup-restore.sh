#!/bin/sh
# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
# What the runbook calls every month without showing it: read the newest dump from its first byte to its last.
set -eu
cd "$(dirname "$0")/../backups"
newest="$(ls backup_*.sql.gz | tail -n 1)"
gzip --test "$newest"
zcat "$newest" | tail -n 6 | grep -q 'PostgreSQL database dump complete'
echo "$newest can be read"
