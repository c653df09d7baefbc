"""Replication strategies and what they share."""
