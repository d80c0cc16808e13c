#!/bin/sh
# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Every night: compress the application's logs of earlier days.
find /srv/ai-media-search/logs -name '*-[0-9]*.log' -mtime +1 -exec gzip --quiet {} +
