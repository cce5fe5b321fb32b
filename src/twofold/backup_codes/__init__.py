"""Backup codes: one-time codes to keep on paper for the day the phone is gone.

Tests: `tests/backup_codes`.
"""
