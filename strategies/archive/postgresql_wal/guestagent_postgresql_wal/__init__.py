"""Archiving and replaying of PostgreSQL's write-ahead log."""
