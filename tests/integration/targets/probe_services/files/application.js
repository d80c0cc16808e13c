// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// An application that tells its metrics to anybody, and the numbers of its queues to who brings the token.
require('http').createServer((request, response) => {
  if (request.url === '/metrics') return response.end('up_and_running 1\n');
  if (request.headers.authorization !== 'Bearer t0ken of mine') {
    response.statusCode = 401;
    return response.end('who are you?');
  }
  response.setHeader('Content-Type', 'application/json');
  return response.end(JSON.stringify({queues: {media: {waiting: 7, active: 1, failed: 0}}}));
}).listen(39284, '127.0.0.1');
