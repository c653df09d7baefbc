"""The image as a machine boots it: GRUB, its kernel, udev, DHCP, and the drive that Nova attaches."""

import secrets
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestagent.conformance.conductor import Conductor
from guestagent.conformance.rabbit import Rabbit
from guestagent.conformance.wire import Wire
from tests.image import drive
from tests.image.budgets import Budgets
from tests.image.builds import Build
from tests.image.guest import NAMESPACE, agent_options
from tests.image.machine import EMULATOR, require

BOOT_SECONDS = 600.0
"""A machine that others work on emulates ten times as slowly; the limit of a quiet one is a budget's."""
HOST = "10.0.2.2"
"""This machine's loopback, in QEMU's user network."""


@pytest.fixture
def machine(
    build: Build, image: Path, tmp_path: Path, rabbit: Rabbit, control: tuple[Wire, Conductor]
) -> Iterator[tuple[str, str]]:
    """A machine that boots; the id of its guest and the key of its messages."""
    require("boot in QEMU", EMULATOR, "genisoimage")
    guest_id, key = str(uuid.uuid4()), secrets.token_urlsafe(24)
    control[0].declare_guest(guest_id)
    options = agent_options(build, HOST, rabbit, control[0].exchange)
    injected = drive.files(guest_id, build.name, key, options)
    drive.write(tmp_path / "drive", guest_id, drive.user_data(injected))
    drive.write_iso(tmp_path / "drive", tmp_path / "drive.iso")
    argv = [
        # Emulation works everywhere; a /dev/kvm that opens may still run no kernel. A kernel changes its own code,
        # and Debian 12's QEMU does not keep a second processor from running what the first has not finished: it panics.
        *(EMULATOR, "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "1024"),
        *("-nodefaults", "-display", "none", "-serial", f"file:{tmp_path / 'console'}", "-device", "virtio-rng-pci"),
        *("-drive", f"file={image},if=virtio,format={build.form},snapshot=on"),
        *("-drive", f"file={tmp_path / 'drive.iso'},if=virtio,format=raw,readonly=on"),
        *("-nic", "user,model=virtio-net-pci"),
    ]
    with (tmp_path / "qemu").open("wb") as said:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
    try:
        yield guest_id, key
    finally:
        process.kill()
        process.wait(60)
        print((tmp_path / "qemu").read_text(), (tmp_path / "console").read_text(errors="replace")[-8000:])


def test_its_agent_answers(
    build: Build, machine: tuple[str, str], control: tuple[Wire, Conductor], budgets: Budgets
) -> None:
    began = time.monotonic()
    guest_id, key = machine
    ping = control[0].begin(guest_id, "rpc_ping", key=key, timeout=BOOT_SECONDS)
    assert ping.result() is True
    budgets.measured(build, "QEMU without KVM: boot to the first answer", time.monotonic() - began)
    described = control[0].call(guest_id, "describe", namespace=NAMESPACE, key=key, timeout=60)
    assert described["datastore"]["name"] == build.name
