#!/bin/sh
# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes images of one file each, containers that have ended, and a volume; or throws them away. Nothing is ever run.
set -eu
place=$1
if [ "${2:-}" = away ]; then
  docker ps --all --quiet --filter name=runbook-cleanup- | xargs --no-run-if-empty docker rm --force --volumes
  docker image ls | awk '/runbook-cleanup-/ {print $1 ":" $2}' | xargs --no-run-if-empty docker image rm
  docker image ls --quiet --filter label=runbook-cleanup | xargs --no-run-if-empty docker image rm
  docker volume rm runbook-cleanup-data runbook-cleanup-kept
  rm -r "$place"
  exit
fi
image() {  # each is of other bytes, so that none is a name of another
  printf '%s' "$1" > "$place/content"
  tar -C "$place" -c content | docker import --change 'LABEL runbook-cleanup=1' --change 'CMD ["/none"]' - "$1" > "$place/id"
}
image runbook-cleanup-gone:1
image runbook-cleanup-down:latest
image runbook-cleanup-named:1
image runbook-ops/runbook-cleanup-back:1
image runbook-cleanup-released:1
mkdir -p "$place/deploy/shop/releases"
printf '{"id": "r1", "image": "%s"}' "$(cat "$place/id")" > "$place/deploy/shop/releases/r1.json"
image runbook-cleanup-used:1
image runbook-cleanup-twice:1
docker tag runbook-cleanup-used:1 runbook-cleanup-twice:1  # what had the name before has none now, and nothing uses it
docker image rm runbook-cleanup-twice:1 > "$place/untag"
mkdir -p "$place/state"
docker image ls --no-trunc --quiet --filter label=runbook-cleanup | sed 's/.*/"&": 1/' | paste -sd, | sed 's/.*/{&}/' > "$place/state/unused.json"
docker volume create runbook-cleanup-data
docker create --name runbook-cleanup-ended runbook-cleanup-used:1
docker create --name runbook-cleanup-by-hand --restart unless-stopped runbook-cleanup-used:1
docker create --name runbook-cleanup-volume --volume runbook-cleanup-kept:/data runbook-cleanup-used:1
docker create --name runbook-cleanup-project --label com.docker.compose.project=down --label com.docker.compose.service=web runbook-cleanup-used:1
