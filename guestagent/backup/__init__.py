"""Backup strategies and what they share."""
