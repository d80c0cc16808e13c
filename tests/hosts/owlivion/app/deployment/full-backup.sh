#!/bin/sh
# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Weekly backup of the database.
set -eu
exec "$(dirname "$0")/backup.sh" weekly
