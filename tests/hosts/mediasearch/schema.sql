-- Copyright: the runbook.ops authors
-- SPDX-License-Identifier: GPL-3.0-or-later
-- AI Media Search as it is after some weeks of service: the six tables of its runbook, small enough to be made in a second.
CREATE TABLE users (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL UNIQUE,
    subscription_tier text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE media_items (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users,
    file_name text NOT NULL,
    file_size bigint NOT NULL,
    processing_status text NOT NULL DEFAULT 'done',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE embeddings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    media_item_id bigint NOT NULL REFERENCES media_items,
    vector real[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE search_history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users,
    query text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE user_activity (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users,
    action text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE cost_tracking (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id bigint REFERENCES users,
    service text NOT NULL,
    cost numeric(10, 4) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX media_items_user_id_idx ON media_items (user_id, created_at);
CREATE INDEX embeddings_media_item_id_idx ON embeddings (media_item_id);
CREATE INDEX search_history_user_id_idx ON search_history (user_id, created_at);
CREATE INDEX cost_tracking_created_at_idx ON cost_tracking (created_at);

INSERT INTO users (email, subscription_tier, created_at)
    SELECT format('user%s@example.com', n), (ARRAY['free', 'plus', 'business'])[n % 3 + 1], now() - n * interval '7 hours'
    FROM generate_series(1, 200) AS n;
INSERT INTO media_items (user_id, file_name, file_size, processing_status, created_at)
    SELECT n % 200 + 1, format('picture-%s.jpg', n), 20000 + n * 37 % 900000, 'done', now() - n * interval '9 minutes'
    FROM generate_series(1, 4000) AS n;
INSERT INTO embeddings (media_item_id, vector, created_at)
    SELECT id, ARRAY(SELECT ((id * dimension) % 97)::real / 97 FROM generate_series(1, 32) AS dimension), created_at
    FROM media_items;
INSERT INTO search_history (user_id, query, created_at)
    SELECT n % 200 + 1, format('search %s', n % 300), now() - n * interval '4 minutes' FROM generate_series(1, 5000) AS n;
INSERT INTO user_activity (user_id, action, created_at)
    SELECT n % 200 + 1, (ARRAY['login', 'upload', 'search'])[n % 3 + 1], now() - n * interval '3 minutes'
    FROM generate_series(1, 5000) AS n;
INSERT INTO cost_tracking (user_id, service, cost, created_at)
    SELECT n % 200 + 1, (ARRAY['embeddings', 'storage', 'transcription'])[n % 3 + 1], 0.0010 + n % 7 * 0.0003,
        now() - n * interval '20 minutes'
    FROM generate_series(1, 3000) AS n;
ANALYZE;
