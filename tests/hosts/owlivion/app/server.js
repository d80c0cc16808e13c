// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// A small stand-in for the synchronisation server of Owlivion Mail: enough of it to be operated for real.
'use strict';

const http = require('node:http');
const { Pool } = require('pg');
const { version } = require('./package.json');

const PORT = Number(process.env.PORT || 3000);
const BODY_LIMIT_BYTES = 64 * 1024;

const pool = new Pool({
  connectionString: process.env.DATABASE_URL,
  max: 5,
  connectionTimeoutMillis: 2000,
  query_timeout: 5000,
});
// Idle connections end when PostgreSQL restarts; the pool opens new ones. Unhandled, the event would end the process.
pool.on('error', (error) => console.error(`database connection lost: ${error.message}`));

class RequestError extends Error {}

async function readJson(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_LIMIT_BYTES) throw new RequestError(`a body holds at most ${BODY_LIMIT_BYTES} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new RequestError('the body is not JSON');
  }
}

async function health() {
  await pool.query('SELECT 1 FROM users LIMIT 1');
  return [200, { status: 'ok' }];
}

async function store(request) {
  const { user_id: userId, data_type: dataType, payload } = await readJson(request);
  if (!Number.isInteger(userId) || typeof dataType !== 'string') {
    throw new RequestError('user_id is an integer and data_type a text');
  }
  const { rows } = await pool.query(
    'INSERT INTO sync_data (user_id, data_type, payload) VALUES ($1, $2, $3) RETURNING id, created_at',
    [userId, dataType, JSON.stringify(payload ?? null)],
  );
  return [201, rows[0]];
}

async function list(request, url) {
  const userId = Number(url.searchParams.get('user_id'));
  if (!Number.isInteger(userId)) throw new RequestError('user_id is an integer');
  const { rows } = await pool.query(
    'SELECT id, data_type, payload, created_at FROM sync_data WHERE user_id = $1 ORDER BY id DESC LIMIT 20',
    [userId],
  );
  return [200, { items: rows }];
}

const ROUTES = {
  'GET /api/v1/health': health,
  'GET /api/v1/version': async () => [200, { version }],
  'POST /api/v1/sync': store,
  'GET /api/v1/sync': list,
};

async function answer(request, url) {
  const handler = ROUTES[`${request.method} ${url.pathname}`];
  if (!handler) return [404, { status: 'error', message: 'no such path' }];
  try {
    return await handler(request, url);
  } catch (error) {
    if (error instanceof RequestError) return [400, { status: 'error', message: error.message }];
    console.error(`error: ${request.method} ${url.pathname}: ${error.message}`);
    return [503, { status: 'error' }];
  }
}

const server = http.createServer(async (request, response) => {
  const started = process.hrtime.bigint();
  const url = new URL(request.url, 'http://localhost');
  const [status, body] = await answer(request, url);
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
  const milliseconds = Number((process.hrtime.bigint() - started) / 1000000n);
  console.log(`${request.method} ${url.pathname} ${status} Response time: ${milliseconds} ms`);
});

function close(signal) {
  console.log(`${signal}: finishing open requests`);
  server.close(async () => {
    await pool.end();
    process.exit(0);
  });
  server.closeIdleConnections();
}
process.once('SIGINT', () => close('SIGINT'));
process.once('SIGTERM', () => close('SIGTERM'));

server.listen(PORT, '127.0.0.1', () => console.log(`owlivion-sync-server ${version} listens on 127.0.0.1:${PORT}`));
