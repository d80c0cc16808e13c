// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// Two queues, one of BullMQ and one of Bull: "work" takes their jobs, "add" adds some, "fill" fills the memory of Redis.
const {Queue, Worker} = require('bullmq');
const Bull = require('bull');
const Redis = require('ioredis');
const connection = {host: '127.0.0.1', port: 39279, password: 's3cr3t pass', maxRetriesPerRequest: null};
const handle = async (job) => {
  if (job.data.fail) throw new Error('cannot reach smtp://mailer:hunter2@mail.test');
};
const modes = {
  work: async () => {
    new Worker('mails', handle, {connection});
    new Bull('old', {redis: connection}).process(handle);
  },
  add: async () => {
    const mails = new Queue('mails', {connection});
    const old = new Bull('old', {redis: connection});
    for (let number = 0; number < 3; number += 1) {
      await mails.add('mail', {number, fail: number === 2});
      await old.add({number});
    }
    await mails.add('mail', {}, {priority: 2});
    await mails.add('mail', {}, {delay: 3600000});
    process.exit(0);
  },
  fill: async () => {
    const redis = new Redis(connection);
    const page = 'x'.repeat(100000);
    for (let number = 0; number < 1000; number += 1) {
      try {
        await redis.set(`page:${number}`, page);
      } catch (error) {
        if (!error.message.startsWith('OOM')) throw error;
        process.exit(0);
      }
    }
    throw new Error('Redis took it all');
  },
};
modes[process.argv[2]]();
