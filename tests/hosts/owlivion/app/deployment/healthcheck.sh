#!/bin/sh
# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
# The five-minute health check: says what is wrong in its log, and nothing when all is well.
set -u
ALERT_EMAIL="admin@owlivion.com"
log="$HOME/healthcheck.log"

alert() {
    echo "$(date '+%Y-%m-%d %H:%M:%S') ALERT to $ALERT_EMAIL: $1" >> "$log"
}

pg_isready -q || alert "PostgreSQL does not answer"
systemctl is-active --quiet nginx || alert "nginx is not active"
curl -fsS -m 10 -o /dev/null https://owlivion.com/api/v1/health || alert "the API does not answer"
[ "$(df --output=pcent / | tail -1 | tr -dc 0-9)" -le 80 ] || alert "the disk is more than 80 % full"
