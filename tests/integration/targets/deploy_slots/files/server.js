// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// One release: what is in kind.json decides how good it is.
'use strict';

const http = require('node:http');
const { commit, kind } = require('./kind.json');

const port = kind === 'elsewhere' ? Number(process.env.PORT) + 100 : Number(process.env.PORT);
const said = kind === 'wrong version' ? '0'.repeat(40) : commit;
const kept = [];

if (kind === 'does not start') throw new Error(`no such thing as ${process.env.APP_SECRET}`);
if (kind === 'exits') setTimeout(() => process.exit(3), 1200);
const began = Date.now();
if (kind === 'leaks') {  // 80 MB a second, however busy the machine is
  setInterval(() => { while (kept.length < Math.min(40, (Date.now() - began) / 100)) kept.push(Buffer.alloc(8 << 20, 1)); }, 100);
}
if (kind === 'hangs at the end') for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {});

const server = http.createServer((request, response) => {
  if (kind === 'never answers') return;
  const ill = kind === 'never healthy' || (kind === 'fails one request' && request.url === '/api/list');
  response.writeHead(ill ? 500 : 200, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify({
    status: ill ? 'error' : 'ok', commit: said, pid: process.pid, host: request.headers.host, seen: process.env.APP_SECRET.length,
  }));
});
const listen = () => server.listen(port, process.env.HOST || '127.0.0.1', () => process.send && process.send('ready'));
setTimeout(listen, kind === 'starts slowly' ? 2000 : 0);
