// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// What both applications have in common: the settings of .env, and an HTTP server that tells how it is.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const Redis = require('ioredis');

/** Read .env at each start, so that PM2 never gets to know a secret. */
function settings() {
  const lines = fs.readFileSync(path.join(__dirname, '.env'), 'utf8').split('\n').filter(Boolean);
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

function baskets(env) {
  const redis = new Redis(env.REDIS_URL, { maxRetriesPerRequest: 1, commandTimeout: 2000 });
  redis.on('error', (error) => console.error(`baskets: ${error.message}`));
  return redis;
}

/** Listen on the loopback address; `look` resolves when all is well, and rejects with the reason when not. */
function serve(port, health, good, bad, look) {
  const server = http.createServer(async (request, response) => {
    if (request.url !== health) {
      response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><title>Orchard</title>\n');
      return;
    }
    const failure = await look().then(() => null, (error) => error);
    if (failure) console.error(`error: ${failure.message}`);
    response.writeHead(failure ? 503 : 200, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(failure ? bad : good));
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(0));
  server.listen(port, '127.0.0.1');
}

module.exports = { settings, baskets, serve };
