"""OpenStack Swift, where Trove keeps backups and published logs."""
