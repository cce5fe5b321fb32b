CREATE TABLE user_mfa_secrets (
	id BIGSERIAL NOT NULL,
	user_id BIGINT NOT NULL,
	secret VARCHAR(255),
	pending_secret VARCHAR(255),
	pending_at TIMESTAMP WITH TIME ZONE,
	algorithm VARCHAR(16) DEFAULT 'SHA1' NOT NULL,
	digits INTEGER DEFAULT 6 NOT NULL,
	period INTEGER DEFAULT 30 NOT NULL,
	is_enabled BOOLEAN DEFAULT false NOT NULL,
	is_verified BOOLEAN DEFAULT false NOT NULL,
	last_used_step BIGINT,
	last_challenge BIGINT DEFAULT 0 NOT NULL,
	last_used_at TIMESTAMP WITH TIME ZONE,
	failed_attempts INTEGER DEFAULT 0 NOT NULL,
	last_failed_at TIMESTAMP WITH TIME ZONE,
	locked_until TIMESTAMP WITH TIME ZONE,
	event_count BIGINT DEFAULT 0 NOT NULL,
	event_head VARCHAR(128),
	version BIGINT DEFAULT 0 NOT NULL,
	codes_digest VARCHAR(160),
	devices_digest VARCHAR(160),
	passkeys_digest VARCHAR(160),
	cases_digest VARCHAR(160),
	proofs_after BIGINT DEFAULT 0 NOT NULL,
	failure_level BIGINT DEFAULT 0 NOT NULL,
	failure_level_at TIMESTAMP WITH TIME ZONE,
	setup_tries INTEGER DEFAULT 0 NOT NULL,
	lines_today INTEGER DEFAULT 0 NOT NULL,
	lines_day TIMESTAMP WITH TIME ZONE,
	told_refusal VARCHAR(128),
	epoch VARCHAR(64),
	shown_codes TEXT,
	last_answer VARCHAR(32),
	changes_suspended_at TIMESTAMP WITH TIME ZONE,
	state_mac VARCHAR(128),
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
	enabled_at TIMESTAMP WITH TIME ZONE,
	disabled_at TIMESTAMP WITH TIME ZONE,
	PRIMARY KEY (id),
	CONSTRAINT uq_user_mfa_secrets_user_id UNIQUE (user_id),
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE INDEX ix_user_mfa_secrets_user_id_is_enabled ON user_mfa_secrets (user_id, is_enabled);

CREATE TABLE mfa_backup_codes (
	id BIGSERIAL NOT NULL,
	user_id BIGINT NOT NULL,
	code_hash VARCHAR(128) NOT NULL,
	is_used BOOLEAN DEFAULT false NOT NULL,
	used_at TIMESTAMP WITH TIME ZONE,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE,
	PRIMARY KEY (id),
	CONSTRAINT uq_mfa_backup_codes_user_id_code_hash UNIQUE (user_id, code_hash),
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE INDEX ix_mfa_backup_codes_code_hash ON mfa_backup_codes (code_hash);

CREATE INDEX ix_mfa_backup_codes_user_id_is_used ON mfa_backup_codes (user_id, is_used);

CREATE TABLE mfa_device_trusts (
	id BIGSERIAL NOT NULL,
	user_id BIGINT NOT NULL,
	device_fingerprint VARCHAR(128) NOT NULL,
	device_name VARCHAR(255),
	browser VARCHAR(64),
	platform VARCHAR(64),
	trust_token VARCHAR(128) NOT NULL,
	previous_token VARCHAR(128),
	rotated_at TIMESTAMP WITH TIME ZONE,
	trusted_until TIMESTAMP WITH TIME ZONE NOT NULL,
	last_used_at TIMESTAMP WITH TIME ZONE,
	usage_count INTEGER DEFAULT 0 NOT NULL,
	ip_address VARCHAR(45),
	location VARCHAR(255),
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	revoked_at TIMESTAMP WITH TIME ZONE,
	revoked_reason VARCHAR(255),
	PRIMARY KEY (id),
	CONSTRAINT uq_mfa_device_trusts_trust_token UNIQUE (trust_token),
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE INDEX ix_mfa_device_trusts_user_id_device_fingerprint ON mfa_device_trusts (user_id, device_fingerprint);

CREATE INDEX ix_mfa_device_trusts_user_id_trusted_until ON mfa_device_trusts (user_id, trusted_until);

CREATE TABLE mfa_events (
	id BIGSERIAL NOT NULL,
	user_id BIGINT NOT NULL,
	seq BIGINT,
	event_type VARCHAR(64) NOT NULL,
	event_status VARCHAR(16) NOT NULL,
	event_details TEXT,
	ip_address VARCHAR(45),
	user_agent VARCHAR(512),
	device_fingerprint VARCHAR(128),
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	mac VARCHAR(128),
	PRIMARY KEY (id),
	CONSTRAINT uq_mfa_events_user_id_seq UNIQUE (user_id, seq),
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE INDEX ix_mfa_events_created_at_brin ON mfa_events USING brin (created_at);

CREATE INDEX ix_mfa_events_event_type_created_at ON mfa_events (event_type, created_at);

