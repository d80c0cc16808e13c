// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// The shop: it cannot sell without the harvest, nor without baskets.
'use strict';

const { Pool } = require('pg');
const { settings, baskets, serve } = require('../parts');

const env = settings();
const redis = baskets(env);
const pool = new Pool({ connectionString: env.DATABASE_URL, max: 3, connectionTimeoutMillis: 2000, query_timeout: 3000 });
pool.on('error', (error) => console.error(`harvest: ${error.message}`));

serve(4410, '/ready', { state: 'up', harvest: 'reachable' }, { state: 'down' }, async () => {
  await pool.query('SELECT count(*) FROM crates');
  await redis.ping();
});
