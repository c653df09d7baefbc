"""The server, its configuration, its volume and its version through Trove's own client."""

import shutil

from guestagent.conformance.poll import eventually
from tests.interop.exercised import exercises
from tests.interop.guest import Guest, unique

NOT_LIVE = {"innodb_buffer_pool_chunk_size": 2097152}
"""A setting that waits for a restart."""


def value(guest: Guest, setting: str) -> int:
    """What is in force, as a client of the database sees it."""
    password = guest.client.call("enable_root")["_password"]
    [(found,)] = guest.log_in("root", password, f"SELECT @@GLOBAL.{setting}")
    return int(found)


@exercises("stop_db", "start_db_with_conf_changes")
def test_a_resize_of_the_flavour(guest: Guest) -> None:
    assert guest.client.call("stop_db") is None
    guest.wait_for_status("shutdown")
    contents = "[mysqld]\nmax_connections = 91\n"
    assert guest.client.call("start_db_with_conf_changes", config_contents=contents, ds_version="10.11") is None
    guest.wait_for_status("healthy")
    assert value(guest, "max_connections") == 91


@exercises("stop_db", "restart")
def test_a_stop_and_a_restart(guest: Guest) -> None:
    guest.client.call("stop_db", do_not_start_on_reboot=True)
    guest.wait_for_status("shutdown")
    guest.restart()


@exercises("reset_configuration", "restart")
def test_a_new_base_configuration(guest: Guest) -> None:
    contents = {"config_contents": "[mysqld]\nmax_connections = 92\n"}
    assert guest.client.call("reset_configuration", configuration=contents) is None
    assert value(guest, "max_connections") != 92
    guest.restart()
    assert value(guest, "max_connections") == 92


@exercises("update_overrides", "apply_overrides")
def test_overrides_that_the_running_server_takes(guest: Guest) -> None:
    before = value(guest, "max_connections")
    assert guest.client.call("update_overrides", overrides={"max_connections": 111}) is None
    assert guest.client.call("apply_overrides", overrides={"max_connections": 111}) is None
    assert value(guest, "max_connections") == 111
    guest.client.call("update_overrides", overrides={}, remove=True)
    guest.client.call("apply_overrides", overrides={"max_connections": before})
    assert value(guest, "max_connections") == before


@exercises("update_overrides", "apply_overrides", "restart")
def test_overrides_that_wait_for_a_restart(guest: Guest) -> None:
    guest.client.call("update_overrides", overrides=NOT_LIVE)
    guest.apply_until_a_restart_is_required(NOT_LIVE)
    guest.restart()
    assert value(guest, "innodb_buffer_pool_chunk_size") == NOT_LIVE["innodb_buffer_pool_chunk_size"]
    guest.client.call("update_overrides", overrides={}, remove=True)
    guest.restart()


@exercises("make_read_only")
def test_a_server_that_only_reads(guest: Guest) -> None:
    assert guest.client.call("make_read_only", read_only=True) is None
    assert value(guest, "read_only") == 1
    assert guest.client.call("make_read_only", read_only=False) is None
    assert value(guest, "read_only") == 0


@exercises("get_volume_info")
def test_the_space_of_the_volume(guest: Guest) -> None:
    told = guest.client.call("get_volume_info")
    volume = shutil.disk_usage(str(guest.agent.files["machine.conf"]["mariadb"]["mount_point"]))
    assert told["total"] == round(volume.total / 2**30, 2)
    assert 0 <= told["used"] <= told["total"]
    assert told["total_blocks"] * told["block_size"] == volume.total
    assert told["total_blocks"] >= told["free_blocks"] >= told["avail_blocks"] > 0


@exercises("mount_volume", "unmount_volume", "resize_fs")
def test_volumes_are_named_by_the_request(guest: Guest) -> None:
    # What happens to real devices is tested where there are some; here it counts that both sides agree on the form.
    where = {"device_path": "/dev/no-such-device", "mount_point": "/mnt/nowhere"}
    assert "/dev/no-such-device" in guest.client.refusal("mount_volume", **where)
    assert "/dev/no-such-device" in guest.client.refusal("resize_fs", **where, online=True)
    assert "no device was named" in guest.client.refusal("resize_fs", device_path=None, mount_point=None)
    assert guest.client.call("unmount_volume", **where) is None


@exercises("pre_upgrade", "upgrade", "post_upgrade")
def test_an_upgrade(guest: Guest) -> None:
    told = guest.client.call("pre_upgrade")
    assert told["server_version"].startswith("10.")
    before = len(guest.statuses())
    guest.client.call("upgrade", upgrade_info={**told, "datastore_version": "10.11"})
    eventually(lambda: "restarting" in guest.statuses()[before:])
    guest.wait_for_status("healthy")
    assert guest.client.call("post_upgrade", upgrade_info=told) is None


@exercises("stop_db", "unmount_volume", "rebuild")
def test_a_rebuild(guest: Guest) -> None:
    """The root disk is new, the volume is kept, and the request waits for the guest to boot."""
    name = unique("database")
    guest.client.call("create_database", databases=[{"_name": name}])
    guest.client.call("stop_db")
    assert "no device was named" in guest.client.refusal("unmount_volume", device_path=None, mount_point=None)
    guest.agent.terminate()
    shutil.rmtree(guest.agent.state_dir)
    shutil.rmtree(str(guest.agent.files["machine.conf"]["mariadb"]["config_dir"]))
    guest.client.call(
        "rebuild", ds_version="10.11", config_contents="[mysqld]\nmax_connections = 93\n", config_overrides={}
    )
    guest.agent.start()
    guest.wait_for_status("healthy", 60)
    page, _ = guest.client.call("list_databases", limit=1, marker=name, include_marker=True)
    assert [item["_name"] for item in page] == [name]
    assert value(guest, "max_connections") == 93
