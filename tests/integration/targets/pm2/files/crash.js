// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// Dies soon after each start.
setTimeout(() => { throw new Error('boom'); }, 100);
