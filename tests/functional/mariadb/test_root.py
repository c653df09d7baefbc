"""Root from anywhere: there when it is asked for, and never otherwise."""

import pymysql
import pytest
from guestagent_mariadb.manager import MariaDBManager

from tests.functional.mariadb.machine import Machine
from tests.support.machine import CONTEXT


def test_an_enabled_root_can_do_everything(guest: Machine, manager: MariaDBManager) -> None:
    root = manager.enable_root(CONTEXT)
    assert (root.name, root.host, root.is_root) == ("root", "%", True)
    assert len(root.password or "") >= 20
    assert manager.is_root_enabled(CONTEXT)
    guest.ask("root", root.password or "", "CREATE USER made_by_root")
    guest.ask("root", root.password or "", "GRANT ALL ON *.* TO made_by_root WITH GRANT OPTION")
    guest.ask("root", root.password or "", "DROP USER made_by_root")


def test_a_disabled_root_is_out_and_what_it_made_goes_on(guest: Machine, manager: MariaDBManager) -> None:
    password = manager.enable_root(CONTEXT).password or ""
    guest.ask("root", password, "CREATE DATABASE IF NOT EXISTS views")
    guest.ask("root", password, "CREATE OR REPLACE DEFINER = root@'%' VIEW views.one AS SELECT 1")
    guest.ask("root", password, "CREATE OR REPLACE USER root@'127.0.0.1' IDENTIFIED BY 'side door'")

    for _ in range(2):
        manager.disable_root(CONTEXT)
        assert not manager.is_root_enabled(CONTEXT)
    for attempt in (password, "side door", "", "invalid"):
        with pytest.raises(pymysql.err.OperationalError):
            guest.log_in("root", attempt)
    assert manager.connections.fetch("Looking", "SELECT * FROM views.one") == [(1,)]

    again = manager.enable_root(CONTEXT).password or ""
    manager.connections.execute("Tidying", "DROP USER root@'127.0.0.1'")
    assert guest.ask("root", again, "SELECT 1") == ((1,),)
