#!/bin/sh
# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes two archives in a directory, one of which publishes security updates, and installs the packages' first versions; or takes all away.
set -eu
place=$1
list=$place/sources.list
if [ "${2:-}" = away ]; then
  apt-mark unhold runbook-test-held || true
  dpkg --purge runbook-test-plain runbook-test-fix runbook-test-held || true
  rm -f /etc/runbook-test.conf*
  rm -r "$place"
  exit
fi
umask 022
chmod 755 "$place"
package() { # name, version, archive, more fields
  tree="$place/tree"
  rm -rf "$tree"
  mkdir -p "$tree/DEBIAN" "$tree/etc" "$tree/usr/share/$1" "$place/$3"
  echo "$2" > "$tree/usr/share/$1/version"  # one without a file of its own would disappear
  printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: Nobody <nobody@example.com>\nDescription: for a test\n' "$1" "$2" > "$tree/DEBIAN/control"
  if [ "$1" = runbook-test-fix ]; then
    echo "version $2" > "$tree/etc/runbook-test.conf"
    echo /etc/runbook-test.conf > "$tree/DEBIAN/conffiles"
    cat > "$tree/DEBIAN/postinst" <<POST
#!/bin/sh
for unit in nginx.service cron; do
  code=0; [ ! -e /usr/sbin/policy-rc.d ] || /usr/sbin/policy-rc.d \$unit restart || code=\$?
  echo "\$unit \$code"
done > $place/asked
POST
    chmod 755 "$tree/DEBIAN/postinst"
  fi
  dpkg-deb --root-owner-group --build "$tree" "$place/$3/$1_$2_all.deb" > "$place/said"
}
index() { # archive, label, suite
  cd "$place/$1"
  for file in *.deb; do
    dpkg-deb --field "$file"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$file" "$(stat -c %s "$file")" "$(sha256sum "$file" | cut -d' ' -f1)"
  done > Packages
  { printf 'Origin: Test\nLabel: %s\nSuite: %s\nSHA256:\n' "$2" "$3"
    printf ' %s %s Packages\n' "$(sha256sum Packages | cut -d' ' -f1)" "$(stat -c %s Packages)"; } > Release
}
for name in plain fix held; do package "runbook-test-$name" 1 old; done
package runbook-test-plain 2 plain
cp "$place/old/runbook-test-plain_1_all.deb" "$place/plain/"
package runbook-test-fix 2 security
package runbook-test-held 2 security
index plain Test stable
index security Test-Security stable-security
dpkg --install "$place"/old/*.deb > "$place/said"
apt-mark auto runbook-test-fix
apt-mark hold runbook-test-held
echo changed by hand > /etc/runbook-test.conf
for archive in plain security; do echo "deb [trusted=yes] file:$place/$archive ./"; done > "$list"
# With lists of its own apt knows of these two archives only, and has read them at once.
mkdir -p "$place/lists/partial" "$place/cache/archives/partial"
cat > "$place/apt.conf" <<CONF
Dir::Etc::sourcelist "$list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$place/lists";
Dir::Cache "$place/cache";
CONF
APT_CONFIG="$place/apt.conf" apt-get update
