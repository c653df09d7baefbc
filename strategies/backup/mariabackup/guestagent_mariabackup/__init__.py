"""Backups of MariaDB with mariadb-backup: the files of a running server, whole or what changed since another one."""
