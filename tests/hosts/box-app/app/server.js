// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// PORT, HEALTH_PATH, VERSION, TABLE (counted by LIST_PATH), ADMIN_TOKEN, METRICS_PORT; the rest is in parts.js and storage.js.
'use strict';

const http = require('node:http');
const { beat, database, log, queues } = require('./parts');
const storage = require('./storage');

const { ADMIN_TOKEN, HEALTH_PATH = '/api/health', LIST_PATH = '/api/items', TABLE = 'heartbeat', VERSION = '1.0.0' } = process.env;
let requests = 0;

async function working(promise) {
  const late = new Promise((_resolve, reject) => setTimeout(() => reject(new Error('no answer within 2 s')), 2000).unref());
  try {
    await Promise.race([promise, late]);
    return 'ok';
  } catch (error) {
    return `error: ${error.message}`;
  }
}

async function health() {
  const cache = Object.values(queues)[0].client.then((client) => client.set('cache:health', Date.now(), 'EX', 60));
  const [one, two] = await Promise.all([working(beat('server')), working(cache)]);
  const well = one === 'ok' && two === 'ok';
  return [well ? 200 : 503, { status: well ? 'ok' : 'error', version: VERSION, database: one, redis: two }];
}

async function statistics() {
  const states = ['waiting', 'active', 'delayed', 'failed', 'completed', 'prioritized', 'paused'];
  const counts = await Promise.all(Object.values(queues).map((queue) => queue.getJobCounts(...states)));
  return [200, { queues: Object.fromEntries(Object.keys(queues).map((name, place) => [name, counts[place]])) }];
}

async function failed() {
  const jobs = (await Promise.all(Object.values(queues).map((queue) => queue.getFailed(0, 20)))).flat();
  return [200, { failed: jobs.map((job) => ({ id: job.id, queue: job.queueName, reason: job.failedReason })) }];
}

async function list() {
  const { rows } = await database.query(`SELECT count(*)::int AS count FROM ${TABLE}`);
  return [200, rows[0]];
}

const admin = (answer) => (request) =>
  ADMIN_TOKEN && request.headers.authorization === `Bearer ${ADMIN_TOKEN}` ? answer() : [401, { error: 'a token is needed' }];

const routes = {
  [`GET ${HEALTH_PATH}`]: health,
  'GET /api/version': () => [200, { version: VERSION }],
  'POST /api/auth/test': () => [200, { status: 'ok' }],
  'GET /api/admin/queues/stats': admin(statistics),
  'GET /api/admin/queues/failed': admin(failed),
  'GET /api/storage': async () => [200, await storage.roundTrip()],
  [`GET ${LIST_PATH}`]: list,
};

const server = http.createServer(async (request, response) => {
  requests += 1;
  const route = routes[`${request.method} ${request.url.split('?')[0]}`];
  let [status, body] = [404, { error: 'not found' }];
  try {
    if (route) [status, body] = await route(request);
  } catch (error) {
    log('error', `${request.method} ${request.url}: ${error.message}`);
    [status, body] = [500, { error: 'internal error' }];
  }
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
});
server.listen(Number(process.env.PORT || 3000), () => log('info', `listening, version ${VERSION}`));

if (process.env.METRICS_PORT) {
  http.createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/plain; version=0.0.4' });
    response.end(`# TYPE http_requests_total counter\nhttp_requests_total ${requests}\n`);
  }).listen(Number(process.env.METRICS_PORT));
}

process.on('SIGTERM', () => server.close(() => process.exit(0)));
