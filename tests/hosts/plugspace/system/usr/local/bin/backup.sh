#!/bin/sh
# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Backup of the database, of Redis and of the settings: a directory named after the time, with a manifest of checksums.
set -eu
umask 077
application=/home/plugspace/plugspace
directory="/home/plugspace/backups/$(date +%Y%m%d_%H%M%S)"
log=/var/log/plugspace/backup.log
partial="$directory.partial"
trap 'rm -rf "$partial" "$partial.yml"' EXIT

setting() { sed -n "s/^$1=//p" "$application/.env"; }
say() { echo "$(date '+%Y-%m-%d %H:%M:%S') $1" >> "$log"; }

mkdir "$partial"
printf 'uri: "%s"\n' "$(setting MONGODB_URI)" > "$partial.yml"
if mongodump --config="$partial.yml" --db=plugspace --gzip --out="$partial/mongodb" \
    && REDISCLI_AUTH="$(setting REDIS_PASSWORD)" redis-cli --rdb "$partial/redis.rdb" > /dev/null \
    && cp "$application/.env" "$partial/environment"; then
    (
        cd "$partial"
        find . -type f ! -name 'manifest.json*' -exec sha256sum {} + | sort -k 2 | jq --raw-input --slurp \
            --arg timestamp "${directory##*/}" \
            '{timestamp: $timestamp, checksums: (split("\n") | map(select(. != "") | {(.[68:]): .[:64]}) | add)}' \
            > manifest.json.new
        mv manifest.json.new manifest.json
    )
    mv "$partial" "$directory"
    say "backup completed: $directory ($(du -sb "$directory" | cut -f1) bytes)"
else
    say 'backup failed'
    exit 1
fi
