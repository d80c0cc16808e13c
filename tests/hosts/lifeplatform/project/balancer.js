// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// The load balancer of the Compose project: each connection goes to one of the instances that run, whichever takes it.
'use strict';

const dns = require('node:dns/promises');
const net = require('node:net');

async function instances() {
  const found = await dns.lookup('app', { all: true, family: 4 });
  const first = Math.floor(Math.random() * found.length);
  return [...found.slice(first), ...found.slice(0, first)].map(({ address }) => address);
}

function connect(address) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: address, port: 3000, timeout: 1000 });
    socket.once('connect', () => resolve(socket.setTimeout(0)));
    socket.once('error', reject);
    socket.once('timeout', () => socket.destroy(new Error('no answer')));
  });
}

net.createServer(async (client) => {
  client.on('error', () => client.destroy());
  for (const address of await instances().catch(() => [])) {
    const instance = await connect(address).catch(() => null);
    if (!instance) continue;
    instance.on('error', () => client.destroy());
    client.on('close', () => instance.destroy());
    client.pipe(instance).pipe(client);
    return;
  }
  client.destroy();
}).listen(3000);

process.on('SIGTERM', () => process.exit(0));
