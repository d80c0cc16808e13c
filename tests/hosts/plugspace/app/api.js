// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// plugspace-api: spaces are kept in MongoDB, who is online in Redis.
'use strict';

const http = require('node:http');
const { Parts, version } = require('./lib/parts');

const PORT = Number(process.env.PORT || 4000);
const parts = new Parts('api');

async function spaces() {
  const cached = await parts.redis.get('spaces:all');
  if (cached) return [200, JSON.parse(cached)];
  const found = await parts.db.collection('spaces').find({}, { projection: { _id: 0 } }).limit(50).toArray();
  await parts.redis.set('spaces:all', JSON.stringify(found), 'EX', 5);
  return [200, found];
}

async function enter(_request, url) {
  const member = url.searchParams.get('member') || 'guest';
  await parts.db.collection('sessions').insertOne({ member, at: new Date() });
  await parts.redis.set(`session:${member}`, Date.now(), 'EX', 3600);
  return [201, { member }];
}

const ROUTES = {
  'GET /api/health': () => parts.health(),
  'GET /api/version': async () => [200, { version }],
  'GET /api/spaces': spaces,
  'POST /api/sessions': enter,
  // For Prometheus on this host; nginx does not hand it on.
  'GET /metrics': async () => [200, parts.metrics()],
};

async function answer(request, url) {
  const handler = ROUTES[`${request.method} ${url.pathname}`];
  if (!handler) return [404, { status: 'error', message: 'no such path' }];
  try {
    return await handler(request, url);
  } catch (error) {
    parts.log('ERROR', `${request.method} ${url.pathname}: ${error.message}`);
    return [503, { status: 'error' }];
  }
}

const server = http.createServer(async (request, response) => {
  const started = process.hrtime.bigint();
  const url = new URL(request.url, 'http://localhost');
  const [status, body] = await answer(request, url);
  const text = typeof body === 'string';
  response.writeHead(status, { 'Content-Type': text ? 'text/plain; version=0.0.4' : 'application/json' });
  response.end(text ? body : JSON.stringify(body));
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  parts.observe(status, seconds);
  if (url.pathname !== '/metrics') {
    parts.log('INFO', `${request.method} ${url.pathname} ${status} ${Math.round(seconds * 1000)} ms`);
  }
});
parts.listen(server, PORT);
