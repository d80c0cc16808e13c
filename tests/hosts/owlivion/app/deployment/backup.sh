#!/bin/sh
# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Nightly backup of the database: backup.sh [daily|weekly]
set -eu
kind="${1:-daily}"
file="/backups/$kind/backup_$(date +%Y%m%d_%H%M%S).sql.gz"
log=/var/log/owlivion-backup.log

if pg_dump owlivion_sync > "$file.sql" && gzip -c "$file.sql" > "$file.partial"; then
    rm "$file.sql"
    mv "$file.partial" "$file"
    echo "$(date '+%Y-%m-%d %H:%M:%S') $kind backup completed: $file ($(stat -c %s "$file") bytes)" >> "$log"
else
    rm -f "$file.sql" "$file.partial"
    echo "$(date '+%Y-%m-%d %H:%M:%S') $kind backup failed" >> "$log"
    exit 1
fi
