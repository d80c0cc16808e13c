// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// Does nothing, for as long as it is let.
setInterval(() => {}, 60000);
