"""Backups of PostgreSQL with pg_basebackup."""
