// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// The courier: it needs the baskets, and knows nothing of the database.
'use strict';

const { settings, baskets, serve } = require('../parts');

const redis = baskets(settings());
serve(4420, '/alive', { courier: { awake: true } }, { courier: { awake: false } }, () => redis.ping());
