#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Make a bare repository shop.git with an application and an archive of it, or push another version: shop.sh DIRECTORY VERSION [BUILD].
set -eu
cd "$1"
export HOME="$1/author" GIT_CONFIG_NOSYSTEM=1
mkdir -p "$HOME"
git config --global init.defaultBranch main
git config --global user.name Author
git config --global user.email author@example.org
if [ ! -d shop.git ]; then
  git init -q --bare shop.git
  git clone -q shop.git tree 2> /dev/null
  mkdir -p tree/app/left tree/app/migrations/1_first
  echo '{"name": "left", "version": "1.0.0", "main": "x.js"}' > tree/app/left/package.json
  echo 'module.exports = "left"' > tree/app/left/x.js
  echo 'CREATE TABLE t ();' > tree/app/migrations/1_first/migration.sql
  echo 'require("fs").writeFileSync("built.txt", require("left") + " " + process.env.FLAVOUR)' > tree/app/build.js
  echo 'setInterval(() => {}, 1000)' > tree/app/server.js
fi
cd tree/app
printf '{"name": "shop", "version": "%s", "scripts": {"build": "%s"}, "dependencies": {"left": "file:left"}}\n' \
  "$2" "${3:-node build.js}" > package.json
[ -f package-lock.json ] || npm install --package-lock-only --no-audit --no-fund > /dev/null
git add -A .
git commit -q --allow-empty -m "$2"
git push -q origin HEAD:main
cd ../..
if [ ! -f shop.tgz ]; then
  git -C tree archive --prefix=shop-1/ HEAD > shop.tar
  gzip < shop.tar > shop.tgz
  ln -s /etc/shadow evil
  tar -czf evil.tgz evil
fi
echo "made $(git -C tree rev-parse HEAD)"
sha256sum shop.tgz evil.tgz
