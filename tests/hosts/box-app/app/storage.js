// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// Object storage that speaks S3: S3_ENDPOINT, S3_BUCKET, S3_REGION, S3_ACCESS_KEY, S3_SECRET_KEY.
'use strict';

async function roundTrip() {
  const { AwsClient } = await import('aws4fetch');
  const { S3_ACCESS_KEY, S3_BUCKET, S3_ENDPOINT, S3_REGION = 'us-east-1', S3_SECRET_KEY } = process.env;
  const client = new AwsClient({ accessKeyId: S3_ACCESS_KEY, secretAccessKey: S3_SECRET_KEY, region: S3_REGION, service: 's3' });
  const url = `${S3_ENDPOINT}/${S3_BUCKET}/round-trip`;
  const text = new Date().toISOString();
  const put = await client.fetch(url, { method: 'PUT', body: text });
  if (!put.ok) throw new Error(`storage answered ${put.status}`);
  const read = await (await client.fetch(url)).text();
  return { stored: read === text };
}

module.exports = { roundTrip };
