-- Rows in the shape that the library writes, for generate_series to number. They open under no key; nobody logs in.
-- Users of a number that :stride divides have a factor that the library enrolled, and no row from here.
INSERT INTO users (id, subject, created_at)
SELECT n, 'ada' || n || '@example.com', now() - interval '2 years'
FROM generate_series(1, :people + 1 + :legacy) AS n;

INSERT INTO user_mfa_secrets (
    user_id, secret, is_enabled, is_verified, last_used_step, last_challenge, last_used_at, event_count, event_head,
    version, state_mac, created_at, updated_at, enabled_at
)
SELECT
    n, :kid || encode(sha256(id) || substr(sha256(id), 1, 16), 'base64'), true, true, 58000000, :events - 1, moment,
    :events, :kid || encode(sha256(id || 'head'), 'hex'), :events, :kid || encode(sha256(id || 'state'), 'hex'), moment,
    moment, moment
FROM generate_series(1, :people) AS n, LATERAL (SELECT n::text::bytea AS id, now() - interval '1 year' AS moment) AS made
WHERE n % :stride <> 0;

INSERT INTO mfa_backup_codes (user_id, code_hash, is_used, created_at)
SELECT n, :kid || encode(sha256((n || '-' || code)::bytea), 'hex'), false, now() - interval '1 year'
FROM generate_series(1, :people) AS n, generate_series(1, :codes) AS code
WHERE n % :stride <> 0;

INSERT INTO mfa_device_trusts (
    user_id, device_fingerprint, device_name, browser, platform, trust_token, trusted_until, last_used_at, usage_count,
    ip_address, created_at
)
SELECT
    n, :kid || encode(sha256((n || 'line')::bytea), 'hex'), 'Firefox on Linux', 'Firefox', 'Linux',
    :kid || encode(sha256((n || 'token')::bytea), 'hex'), now() + interval '20 days', now(), 3, '192.0.2.1', now()
FROM generate_series(1, :people) AS n
WHERE n % 10 < 3 AND n % :stride <> 0;

-- One slice of time. The user after the last has an event for every :gap events of all others.
INSERT INTO mfa_events (
    user_id, seq, event_type, event_status, event_details, ip_address, user_agent, created_at, mac
)
SELECT
    line.user_id, line.seq, CASE line.seq % 2 WHEN 0 THEN 'code_accepted' ELSE 'challenged' END, 'success',
    '{"factor": "totp", "occasion": "login"}', '192.0.2.1', :browser,
    now() - (:events - :number) * interval '30 days' - (:people - n) * interval '1 second' - interval '1 hour',
    :kid || encode(sha256((line.user_id || '-' || line.seq)::bytea), 'hex')
FROM generate_series(1, :people) AS n, LATERAL (
    SELECT n AS user_id, :number AS seq
    UNION ALL
    SELECT :people + 1, (:number - 1) * (:people / :gap) + n / :gap WHERE n % :gap = 0
) AS line
WHERE line.user_id > :people OR line.user_id % :stride <> 0;

-- Rows of before Twofold, behind all others, to be adopted.
INSERT INTO user_mfa_secrets (user_id, secret, is_enabled, is_verified, failed_attempts, created_at, updated_at)
SELECT n, translate(upper(md5('secret' || n)), '0189', 'WXYZ'), true, true, 0, now(), now()
FROM generate_series(:people + 2, :people + 1 + :legacy) AS n;
