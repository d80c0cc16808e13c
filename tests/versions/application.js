// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// A small application that tells its version, takes its time where it is asked to, keeps WebSockets, and finishes what it has begun.
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');

const read = (name) => { try { return fs.readFileSync(`${__dirname}/${name}`, 'utf8').trim(); } catch { return 'unknown'; } };
const commit = read('REVISION');
const version = require('./package.json').version;
const it = { health: { status: 'ok' }, commit, version, listenAfter: 0, delay: 0, failing: () => false, closing: () => server.close(() => process.exit(0)) };
/* FLAW */

const answers = {
  '/api/v1/health': () => it.health,
  '/api/v1/version': () => ({ version: it.version, commit: it.commit }),
  '/api/v1/slow': () => ({ version: it.version }),
};
const sockets = new Set();
let leaving = false;
const server = http.createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost');
  const answer = answers[pathname];
  const wait = it.delay + (pathname === '/api/v1/slow' ? 1000 * Number(searchParams.get('seconds') || 5) : 0);
  const failing = it.failing(pathname, request);
  setTimeout(() => {
    response.writeHead(failing ? 500 : answer ? 200 : 404, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(answer && !failing ? answer() : {}));
  }, wait);
});
server.on('upgrade', (request, socket) => {
  const key = crypto.createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key}\r\n\r\n`);
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
  socket.on('data', (frame) => {
    if ((frame[0] & 0x0f) === 8) return socket.end();
    if (leaving) return;
    const length = frame[1] & 0x7f;  // a short line in one frame is all that is understood
    const body = Buffer.from(frame.subarray(6, 6 + length).map((byte, place) => byte ^ frame[2 + (place % 4)]));
    socket.write(Buffer.concat([Buffer.from([frame[0], length]), body]));
  });
});
const close = () => {
  leaving = true;
  for (const socket of sockets) {  // 1001: going away. Who is told ends the connection (RFC 6455, 7.1.1), within a while
    socket.write(Buffer.from([0x88, 2, 0x03, 0xe9]));
    setTimeout(() => socket.end(), 1000).unref();
  }
  it.closing();
};
process.once('SIGINT', close);
process.once('SIGTERM', close);
setTimeout(() => server.listen(Number(process.env.PORT), process.env.HOST || '127.0.0.1', () => process.send && process.send('ready')), it.listenAfter);
