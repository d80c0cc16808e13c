#!/bin/sh
# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes real updates of what services run pending: packages of this host, packed again under a higher version, in an archive that publishes
# security updates; the versions that are installed in another one. apt is told of no others. With "away" all is as it was before.
set -eu
place=/srv/runbook-updates
conf=/etc/apt/apt.conf.d/99runbook-updates
packages='libssl3 libssl-dev nginx nginx-light' # what all services load and what needs its very version, the proxy itself, and one to be put on hold
if [ "${1:-}" = away ]; then
  [ -e "$place" ] || exit 0
  rm -f "$place/wait"
  apt-mark unhold nginx-light
  dpkg --install --force-downgrade "$place"/old/*.deb # apt would note them as asked for by hand
  rm -rf "$conf" "$place" /run/reboot-required /run/reboot-required.pkgs
  exit
fi
umask 022
mkdir -p "$place/old" "$place/security" "$place/lists/partial"
pack() { # name, version, archive
  tree="$place/tree"
  rm -rf "$tree"
  mkdir -p "$tree/DEBIAN"
  dpkg-query --listfiles "$1" | while read -r path; do
    if [ -L "$path" ] || [ -f "$path" ]; then echo "$path"; fi
  done | tar --create --absolute-names --files-from=- | tar --extract --directory="$tree"
  for file in $(dpkg-query --control-list "$1"); do
    [ "$file" = md5sums ] || dpkg-query --control-show "$1" "$file" > "$tree/DEBIAN/$file"
  done
  dpkg-query --status "$1" | sed -e '/^Status:/d' -e "s/^Version: .*/Version: $2/" -e "s/\(libssl3 (= \)[^)]*/\1$2/" > "$tree/DEBIAN/control"
  if [ "$1" = libssl3 ] && [ "$3" = security ]; then # asks for a reboot as Ubuntu's does, and can be stopped in the middle
    cat > "$tree/DEBIAN/postinst" <<POST
#!/bin/sh
echo "*** System restart required ***" > /run/reboot-required
echo libssl3 >> /run/reboot-required.pkgs
while [ -e $place/wait ]; do touch $place/waits; sleep 0.1; done
POST
  fi
  find "$tree/DEBIAN" -name 'p*' -exec chmod 755 {} +
  dpkg-deb -Znone --root-owner-group --build "$tree" "$place/$3/$1.deb"
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
for name in $packages; do
  version=$(dpkg-query --show --showformat='${Version}' "$name")
  echo "$name=$version" >> "$place/before"
  pack "$name" "$version" old
  pack "$name" "$version+runbook1" security
done
index old Test stable
index security Test-Security stable-security
for archive in old security; do echo "deb [trusted=yes] file:$place/$archive ./"; done > "$place/sources.list"
printf 'Dir::Etc::sourcelist "%s/sources.list";\nDir::Etc::sourceparts "-";\nDir::State::lists "%s/lists";\n' "$place" "$place" > "$conf"
apt-mark hold nginx-light
apt-get update
