-- People of before Twofold, for generate_series to number. Base32 has no 0, 1, 8 and 9.
INSERT INTO users (id, subject)
SELECT n, 'ada' || n || '@example.com'
FROM generate_series(1, :people) AS n;

INSERT INTO user_mfa_secrets (user_id, secret, is_enabled, is_verified, failed_attempts, created_at, updated_at)
SELECT n, translate(upper(md5('secret' || n)), '0189', 'WXYZ'), true, true, 0, moment, moment
FROM generate_series(1, :people) AS n, LATERAL (SELECT now() AT TIME ZONE 'UTC' - n * interval '1 second' AS moment) AS made;

INSERT INTO mfa_backup_codes (user_id, code_hash, is_used, created_at)
SELECT n, encode(sha256(convert_to(code || '-' || n, 'UTF8')), 'hex'), false, now() AT TIME ZONE 'UTC'
FROM generate_series(1, :codes) AS code, generate_series(1, :people) AS n;

INSERT INTO mfa_device_trusts (
    user_id, device_fingerprint, device_name, trust_token, trusted_until, usage_count, created_at
)
SELECT n, md5('browser' || n), 'Firefox', md5('cookie' || n), now() + interval '20 days', 1, now() AT TIME ZONE 'UTC'
FROM generate_series(1, :people) AS n
WHERE n % 10 < 3;

INSERT INTO mfa_events (user_id, event_type, event_status, event_details, ip_address, user_agent, created_at)
SELECT
    n, 'login', 'success', json_build_object('factor', 'totp'), '192.0.2.1',
    'Mozilla/5.0 (X11; Linux x86_64; rv\:140.0) Gecko/20100101 Firefox/140.0',
    now() AT TIME ZONE 'UTC' - (:events - number) * interval '1 day' - (:people - n) * interval '10 milliseconds'
FROM generate_series(1, :events) AS number, generate_series(1, :people) AS n;
