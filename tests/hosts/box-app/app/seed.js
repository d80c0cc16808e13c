// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// Fills each queue with what a system on an ordinary day has: done and failed jobs, long ones at work, some that wait.
// WORKERS says how many jobs of a queue are worked on at once.
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { log, queues } = require('./parts');

const HOURS = 3600 * 1000;

async function fill(queue) {
  await queue.waitUntilReady();
  const busy = Number(process.env.WORKERS || 1);
  const job = (name, data, options) => ({ name, data, opts: options });
  await queue.addBulk([job('quick', {}), job('quick', {}), job('broken', { fail: 'the address does not exist' })]);
  for (let tries = 0; tries < 200 && (await queue.getJobCountByTypes('wait', 'active')) > 0; tries += 1) await sleep(50);
  await queue.addBulk(Array.from({ length: busy }, () => job('long', { ms: 12 * HOURS })));
  for (let tries = 0; tries < 200 && (await queue.getActiveCount()) < busy; tries += 1) await sleep(50);
  await queue.addBulk([job('next', {}), job('next', {}), job('later', {}, { delay: 24 * HOURS })]);
}

Promise.all(Object.values(queues).map(fill)).then(
  () => process.exit(0),
  (error) => { log('error', error.message); process.exit(1); },
);
