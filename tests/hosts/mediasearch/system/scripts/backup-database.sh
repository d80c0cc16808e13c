#!/bin/sh
# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Every six hours: dump the database, and put a copy into the object storage.
set -eu
umask 077
file="backup-$(date -u +%Y%m%d-%H%M%S).dump"
trap 'rm -f "/backups/.$file"' EXIT
docker exec postgres pg_dump --username=postgres --format=custom mediasearch > "/backups/.$file"
mv "/backups/.$file" "/backups/$file"
curl --fail --silent --show-error --max-time 60 --config /etc/backup-storage.conf --aws-sigv4 aws:amz:us-east-1:s3 \
    --upload-file "/backups/$file" "https://s3.us-east-1.amazonaws.com/your-backup-bucket/postgres/$file"
echo "$(date -u '+%Y-%m-%d %H:%M:%S') backup completed: /backups/$file" >> /logs/backup.log
