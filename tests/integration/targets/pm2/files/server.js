// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// Writes what it was started with where the test can read it, then waits.
const fs = require('fs');
fs.writeFileSync(process.env.SEEN_FILE, JSON.stringify({secret: process.env.SECRET, leaked: process.env.LEAKED || null}));
setInterval(() => {}, 60000);
