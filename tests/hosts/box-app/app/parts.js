// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// What the application stands on, by its environment: DATABASE_URL, REDIS_URL, QUEUES (names, by commas), LOG_FILE.
'use strict';

const fs = require('node:fs');
const { Queue } = require('bullmq');
const { Pool } = require('pg');

const database = new Pool({ connectionString: process.env.DATABASE_URL, max: 5, connectionTimeoutMillis: 2000, query_timeout: 2000 });
database.on('error', (error) => log('error', `database: ${error.message}`));

const redis = new URL(process.env.REDIS_URL || 'redis://localhost:6379');
const connection = {
  host: redis.hostname,
  port: Number(redis.port || 6379),
  password: decodeURIComponent(redis.password) || undefined,
  maxRetriesPerRequest: null,
};
const names = (process.env.QUEUES || 'jobs').split(',');
const queues = Object.fromEntries(names.map((name) => {
  // Who asks for statistics gets an answer or an error, not a request that waits until Redis is back.
  const queue = new Queue(name, { connection: { ...connection, enableOfflineQueue: false, maxRetriesPerRequest: 1 } });
  queue.on('error', (error) => log('error', `queue ${name}: ${error.message}`));
  return [name, queue];
}));

function log(level, text) {
  const line = `${new Date().toISOString()} ${level.toUpperCase()} ${text}\n`;
  process.stdout.write(line);
  const file = (process.env.LOG_FILE || '').replace('%DATE%', new Date().toISOString().slice(0, 10));
  if (file) fs.appendFile(file, line, () => {});
}

// One row for each process that is alive: the database and the cache are used, not only asked for.
async function beat(name) {
  await database.query('CREATE TABLE IF NOT EXISTS heartbeat (name text PRIMARY KEY, at timestamptz NOT NULL)');
  await database.query('INSERT INTO heartbeat VALUES ($1, now()) ON CONFLICT (name) DO UPDATE SET at = now()', [name]);
}

module.exports = { beat, connection, database, log, names, queues };
