#!/bin/sh
# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Every five minutes: what the runbook has cron do.
curl --fail --silent --max-time 10 --output /dev/null http://localhost:3000/api/health || logger --tag health-check 'the API is ill'
