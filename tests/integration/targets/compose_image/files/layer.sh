#!/bin/sh
# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes an archive with one program of this host, and what it needs to run.
set -eu
tree=$(mktemp -d)
trap 'rm -r "$tree"' EXIT
mkdir -p "$tree/bin"
cp -L /usr/bin/sleep "$tree/bin/"
for library in $(ldd /usr/bin/sleep | grep -o '/[^ ]*' | sort -u); do
  mkdir -p "$tree$(dirname "$library")"
  cp -L "$library" "$tree$library"
done
tar -C "$tree" -cf "$1" .
