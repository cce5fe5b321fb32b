CREATE TABLE mfa_passkeys (
	id INTEGER NOT NULL,
	user_id BIGINT NOT NULL,
	name VARCHAR(64) NOT NULL,
	credential_key VARCHAR(128) NOT NULL,
	credential_id TEXT NOT NULL,
	public_key TEXT NOT NULL,
	user_handle VARCHAR(86) NOT NULL,
	rp_id VARCHAR(253) NOT NULL,
	algorithm INTEGER NOT NULL,
	sign_count BIGINT DEFAULT 0 NOT NULL,
	backup_eligible BOOLEAN DEFAULT 0 NOT NULL,
	backup_state BOOLEAN DEFAULT 0 NOT NULL,
	user_verified BOOLEAN DEFAULT 0 NOT NULL,
	transports VARCHAR(128),
	aaguid VARCHAR(36),
	attestation_format VARCHAR(32),
	created_at DATETIME NOT NULL,
	last_used_at DATETIME,
	suspended_at DATETIME,
	revoked_at DATETIME,
	revoked_reason VARCHAR(255),
	PRIMARY KEY (id),
	CONSTRAINT uq_mfa_passkeys_credential_key UNIQUE (credential_key),
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE INDEX ix_mfa_passkeys_user_id_revoked_at ON mfa_passkeys (user_id, revoked_at);

