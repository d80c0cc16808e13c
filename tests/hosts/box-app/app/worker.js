// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// Works on all queues, one job of each at a time. A job says how long it takes ({ms}) and whether it fails ({fail}).
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const { Worker } = require('bullmq');
const { beat, connection, log, names } = require('./parts');

// What a worker had in hand when it was stopped is taken up within seconds by the next, as often as that happens.
const patience = { lockDuration: 15000, stalledInterval: 5000, maxStalledCount: 1000 };

const workers = names.map((name) => {
  const worker = new Worker(name, async (job) => {
    await sleep(job.data.ms || 0);
    if (job.data.fail) throw new Error(String(job.data.fail));
    await beat(`worker ${name}`);
  }, { connection, concurrency: 1, ...patience });
  worker.on('failed', (job, error) => log('info', `${name}: job ${job && job.id} failed: ${error.message}`));
  worker.on('error', (error) => log('error', `${name}: ${error.message}`));
  return worker;
});
log('info', `working on ${names.join(', ')}`);

// A job that takes hours would hold the container's stop as long: it is taken up again by the next worker.
process.on('SIGTERM', async () => {
  await Promise.all(workers.map((worker) => worker.close(true)));
  process.exit(0);
});
