// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// plugspace-voice: a WebSocket server. What one says, all others in the room hear; rooms live in Redis, calls in MongoDB.
'use strict';

const http = require('node:http');
const { WebSocketServer, WebSocket } = require('ws');
const { Parts } = require('./lib/parts');

const PORT = Number(process.env.PORT || 4001);
const parts = new Parts('voice');

const server = http.createServer(async (request, response) => {
  if (request.method !== 'GET' || request.url !== '/health') {
    response.writeHead(426, { 'Content-Type': 'text/plain' });
    response.end('speak WebSocket\n');
    return;
  }
  const [status, body] = await parts.health();
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify({ ...body, listeners: sockets.clients.size }));
});

const sockets = new WebSocketServer({ server, path: '/voice', maxPayload: 64 * 1024 });
sockets.on('connection', async (socket, request) => {
  const room = new URL(request.url, 'http://localhost').searchParams.get('room') || 'lobby';
  socket.room = room;
  socket.on('error', (error) => parts.log('ERROR', `socket: ${error.message}`));
  socket.on('message', (data, binary) => {
    for (const other of sockets.clients) {
      if (other !== socket && other.room === room && other.readyState === WebSocket.OPEN) other.send(data, { binary });
    }
  });
  try {
    await parts.redis.incr(`room:${room}`);
    socket.on('close', () => parts.redis.decr(`room:${room}`).catch((error) => parts.log('ERROR', error.message)));
    await parts.db.collection('calls').insertOne({ room, at: new Date() });
    socket.send(JSON.stringify({ type: 'welcome', room }));
  } catch (error) {
    parts.log('ERROR', `room ${room}: ${error.message}`);
    socket.close(1011, 'no room');
  }
});
parts.listen(server, PORT);
