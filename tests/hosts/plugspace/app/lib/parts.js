// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// What both applications need: the settings of .env, the database, the cache, the log, the metrics.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const Redis = require('ioredis');
const { MongoClient } = require('mongodb');
const { version } = require('../package.json');

/** Read .env at each start, so that a restart takes on a changed secret, and so that PM2 never gets to know one. */
function settings() {
  const text = fs.readFileSync(path.join(__dirname, '..', '.env'), 'utf8');
  const lines = text.split('\n').filter((line) => /^[A-Z_]+=/.test(line));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

/** Return a function that writes a line to /var/log/plugspace/<name>.log. The file is opened anew each time: it is rotated. */
function logger(name) {
  const file = `/var/log/plugspace/${name}.log`;
  return (level, message) =>
    fs.appendFile(file, `${new Date().toISOString()} ${level} ${message}\n`, (error) => {
      if (error) console.error(`${file}: ${error.message}`);
    });
}

class Parts {
  constructor(name) {
    const env = settings();
    this.name = name;
    this.log = logger(name);
    this.mongo = new MongoClient(env.MONGODB_URI, {
      appName: name,
      maxPoolSize: 5,
      serverSelectionTimeoutMS: 2000,
    });
    this.redis = new Redis({
      host: '127.0.0.1',
      port: Number(env.REDIS_PORT || 6379),
      password: env.REDIS_PASSWORD,
      connectionName: name,
      maxRetriesPerRequest: 1,
      commandTimeout: 2000,
      enableOfflineQueue: true,
    });
    this.redis.on('error', (error) => this.log('ERROR', `redis: ${error.message}`));
    this.requests = new Map();
    this.buckets = [0.1, 0.5, 1, 5, Infinity].map((limit) => ({ limit, count: 0 }));
    this.seconds = 0;
  }

  get db() {
    return this.mongo.db('plugspace');
  }

  /** Return which of the parts works, in words; an outage of one never hides the other. */
  async health() {
    const answers = await Promise.allSettled([this.db.command({ ping: 1 }), this.redis.ping()]);
    const [mongodb, redis] = answers.map((answer) => (answer.status === 'fulfilled' ? 'ok' : 'unavailable'));
    answers
      .filter((answer) => answer.status === 'rejected')
      .forEach((answer) => this.log('ERROR', `health: ${answer.reason.message}`));
    const ok = mongodb === 'ok' && redis === 'ok';
    return [ok ? 200 : 503, { status: ok ? 'ok' : 'error', version, mongodb, redis }];
  }

  observe(status, seconds) {
    this.requests.set(status, (this.requests.get(status) || 0) + 1);
    this.seconds += seconds;
    for (const bucket of this.buckets) if (seconds <= bucket.limit) bucket.count += 1;
  }

  /** Return what Prometheus reads: of this process, so that its number is in every line. */
  metrics() {
    const worker = `worker="${process.env.NODE_APP_INSTANCE || 0}"`;
    const lines = ['# TYPE http_requests_total counter'];
    for (const [status, count] of this.requests) lines.push(`http_requests_total{${worker},status="${status}"} ${count}`);
    const duration = 'http_request_duration_seconds';
    lines.push(`# TYPE ${duration} histogram`);
    for (const { limit, count } of this.buckets) {
      lines.push(`${duration}_bucket{${worker},le="${limit === Infinity ? '+Inf' : limit}"} ${count}`);
    }
    lines.push(`${duration}_sum{${worker}} ${this.seconds}`);
    lines.push(`${duration}_count{${worker}} ${this.buckets.at(-1).count}`);
    const { user, system } = process.cpuUsage();
    lines.push('# TYPE process_cpu_seconds_total counter');
    lines.push(`process_cpu_seconds_total{${worker}} ${(user + system) / 1e6}`);
    lines.push('# TYPE process_resident_memory_bytes gauge');
    lines.push(`process_resident_memory_bytes{${worker}} ${process.memoryUsage.rss()}`);
    return `${lines.join('\n')}\n`;
  }

  /** Serve on a port of the loopback address. */
  listen(server, port) {
    server.listen(port, '127.0.0.1', () => this.log('INFO', `${this.name} ${version} listens on 127.0.0.1:${port}`));
    this.closeOn(server);
  }

  /** Finish what is open when PM2 asks to. */
  closeOn(server) {
    const close = (signal) => {
      this.log('INFO', `${signal}: finishing open requests`);
      server.close(async () => {
        await this.mongo.close();
        this.redis.disconnect();
        process.exit(0);
      });
      server.closeAllConnections();
    };
    process.once('SIGINT', () => close('SIGINT'));
    process.once('SIGTERM', () => close('SIGTERM'));
  }
}

module.exports = { Parts, version };
