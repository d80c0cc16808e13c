// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// A small API over HTTP and, with the same answer, over HTTPS; it hangs where it is asked to.
const fs = require('fs');
const here = process.env.DIRECTORY;
const answer = (request, response) => {
  if (request.url === '/hang') return;
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify({status: 'ok', database: {connected: true}}));
};
require('http').createServer(answer).listen(39127, '127.0.0.1');
const tls = {key: fs.readFileSync(`${here}/key.pem`), cert: fs.readFileSync(`${here}/cert.pem`)};
require('https').createServer(tls, answer).listen(39128, '127.0.0.1');
