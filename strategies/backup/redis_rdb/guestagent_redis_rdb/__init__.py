"""Backups of Redis and Valkey: a dump of all data, and the users."""
