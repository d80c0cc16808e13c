// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
'use strict';

const app = (name, directory) => ({ name, cwd: `${__dirname}/${directory}`, script: 'server.js', time: true });
module.exports = { apps: [app('orchard-shop', 'shop'), app('orchard-courier', 'courier')] };
