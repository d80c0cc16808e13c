// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// The load balancer of the Compose project: connections go to the instances in turn, to those that there are at that moment.
'use strict';

const dns = require('node:dns/promises');
const net = require('node:net');

let turn = 0;

async function instances() {
  const found = (await dns.lookup('newsletter-app', { all: true, family: 4 })).map(({ address }) => address).sort();
  const first = (turn += 1) % found.length;
  return [...found.slice(first), ...found.slice(0, first)];
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
