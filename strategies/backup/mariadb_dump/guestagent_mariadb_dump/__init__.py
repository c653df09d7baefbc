"""Logical backups of MariaDB with mariadb-dump: statements that another version can carry out too."""
