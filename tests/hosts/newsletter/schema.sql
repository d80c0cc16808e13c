-- SPDX-License-Identifier: GPL-3.0-or-later
-- The newsletter's tables, with some weeks of use in them.
CREATE EXTENSION pg_stat_statements;
CREATE TABLE tenants (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, name text NOT NULL);
CREATE TABLE campaigns (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  tenant_id bigint NOT NULL REFERENCES tenants,
  subject text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE email_events (
  id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
  campaign_id bigint NOT NULL REFERENCES campaigns,
  event_type text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO tenants (name) SELECT 'tenant ' || n FROM generate_series(1, 20) n;
INSERT INTO campaigns (tenant_id, subject, created_at)
  SELECT 1 + n % 20, 'Issue ' || n, now() - n * interval '1 day' FROM generate_series(1, 300) n;
INSERT INTO email_events (campaign_id, event_type, created_at)
  SELECT 1 + n % 300, (ARRAY['sent', 'opened', 'clicked', 'bounced'])[1 + n % 4], now() - n * interval '1 hour'
  FROM generate_series(1, 20000) n;
CREATE INDEX idx_campaigns_tenant_created ON campaigns (tenant_id, created_at);
CREATE INDEX idx_email_events_campaign_type ON email_events (campaign_id, event_type);
ANALYZE;
