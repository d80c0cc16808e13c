// Copyright: the runbook.ops authors
// SPDX-License-Identifier: GPL-3.0-or-later
// Apply what is pending, as Drizzle does it: pnpm tsx scripts/migrate-production.ts
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';

async function main(): Promise<void> {
  const database = drizzle(process.env.DATABASE_URL as string);
  await migrate(database, { migrationsFolder: './drizzle' });
  await database.$client.end();
}

main().catch((error: Error & { cause?: Error }) => {
  console.error(`migration failed: ${error.cause?.message ?? error.message}`);
  process.exit(1);
});
