"""Trove's manager for MariaDB, kept from changing the machine that it is measured on."""

from trove.guestagent.datastore.mariadb import manager  # type: ignore[import-not-found]


class Manager(manager.Manager):  # type: ignore[misc]
    """Reads no ``/etc/mysql``.

    Trove's profiler evaluates every property of the manager when the service starts, and this one takes
    ``/etc/mysql`` into the database's ownership by sudo.
    """

    configuration_manager = None
