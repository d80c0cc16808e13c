-- The tables that were there before migrations were: nothing is changed where they exist.
CREATE TABLE IF NOT EXISTS "tenants" ("id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, "name" text NOT NULL);
