# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
# What the scripts of the fault matrix may use. LOGS holds globs of the logs in which a fault leaves traces.
set -eu
cd /
MEMORY=/run/fault-matrix

# Remember how long the logs are.
remember() {
  mkdir -p $MEMORY
  for file in $LOGS; do [ ! -f "$file" ] || stat -c '%s %n' "$file"; done >$MEMORY/logs
}

# Cut from the logs what was written since remember: yesterday's errors are found today, as they should be.
forget() {
  [ -e $MEMORY/logs ] || return 0
  for file in $LOGS; do
    [ -f "$file" ] || continue
    size=$(awk -v file="$file" '{ at = $1; sub(/^[0-9]+ /, "") } $0 == file { print at }' $MEMORY/logs)
    truncate --size="<${size:-0}" "$file"
  done
}

# Take from the logs what earlier tests left there.
clean() {
  for file in $LOGS; do
    [ -f "$file" ] || continue
    grep --invert-match --ignore-case --extended-regexp 'error|warn|fail|fatal|exception|heap|memory' "$file" >/run/clean || true
    cmp --quiet /run/clean "$file" || cat /run/clean >"$file"
  done
}

# Make servers forget what they were too slow for while the machine was busy, and PM2 the restarts that earlier tests asked
# for. The functions of a system say how.
settle() { :; }

# Wait until a command succeeds: until_ok SECONDS COMMAND...
until_ok() {
  left=$(($1 * 5))
  shift
  until "$@" >/dev/null 2>&1; do
    left=$((left - 1))
    [ $left -gt 0 ] || { echo "not within the time: $*" >&2; return 1; }
    sleep 0.2
  done
}

# What a run that was killed had started goes on by itself: wait until it has ended.
abandoned() { until_ok 120 sh -c '! grep -qsa "[B]ECOME-SUCCESS" /proc/[0-9]*/cmdline'; }

answers() { curl --fail --silent --output /dev/null --max-time 5 "$@"; }
listens() { (: >"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Run something in the background as a unit of its own: aside NAME COMMAND..., until aside_end NAME
aside() {
  unit=fault-$1
  shift
  systemd-run --quiet --collect --property=TimeoutStopSec=1 --unit="$unit" "$@"
}
aside_end() {
  systemctl kill --signal=KILL "fault-$1" 2>/dev/null || true
  until_ok 60 sh -c "! systemctl is-active --quiet fault-$1"
  systemctl reset-failed "fault-$1" 2>/dev/null || true
}

# Copy a file or directory aside with all that it is, and put it back.
keep() { rm -rf "$1.aside" && cp --archive "$1" "$1.aside"; }
put_back() { [ ! -e "$1.aside" ] || { rm -rf "$1"; mv "$1.aside" "$1"; }; }
