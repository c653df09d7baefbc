"""Binary logs of MariaDB: which of them are closed, and how they are replayed until a time or a GTID."""
