// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// How PM2 runs the two applications. Secrets stand in .env, which they read themselves.
'use strict';

const app = (name, script, port, how) => ({
  name,
  script,
  cwd: __dirname,
  env: { NODE_ENV: 'production', PORT: port },
  out_file: `/var/log/pm2/${name}-out.log`,
  error_file: `/var/log/pm2/${name}-error.log`,
  merge_logs: true,
  time: true,
  ...how,
});

module.exports = {
  apps: [
    // Processes of a cluster share their port: it can be scaled, and reloaded one by one.
    app('plugspace-api', 'api.js', 4000, { exec_mode: 'cluster', instances: 2 }),
    app('plugspace-voice', 'voice.js', 4001, { exec_mode: 'fork', instances: 1 }),
  ],
};
