"""What Nova gives a machine when the control plane asks for a guest: a drive with its metadata and user data."""

import base64
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from guestagent.conformance.agent import Groups, injected_info, render

OWNER = "ubuntu:root"
"""Trove's ``injected_config_owner`` and ``injected_config_group``, where the operator sets none."""


def files(guest_id: str, datastore: str, key: str, agent: Groups) -> dict[str, str]:
    """The control plane's files in a guest, in its order.

    :param key: encrypts the instance's messages.
    :param agent: the operator's file for agents.
    """
    groups = {"guest_info.conf": injected_info(guest_id, datastore, key), "trove-guestagent.conf": agent}
    return {f"/etc/trove/conf.d/{name}": render(content) for name, content in groups.items()}


def user_data(files: Mapping[str, str]) -> str:
    """As the control plane sends it: cloud-init writes its files, for an owner and with its own idea of a mode."""
    written = [
        {"path": path, "encoding": "b64", "owner": OWNER, "content": _base64(text)} for path, text in files.items()
    ]
    # JSON is YAML.
    return "#cloud-config\n" + json.dumps({"write_files": written})


def write(directory: Path, guest_id: str, user_data: str) -> None:
    """The drive's files."""
    latest = directory / "openstack" / "latest"
    latest.mkdir(parents=True)
    about = {"uuid": guest_id, "name": "guest", "hostname": "guest.novalocal", "meta": {}}
    (latest / "meta_data.json").write_text(json.dumps(about))
    (latest / "user_data").write_text(user_data)


def write_iso(directory: Path, iso: Path) -> None:
    """The drive as a machine sees it."""
    argv = ["genisoimage", "-quiet", "-J", "-r", "-V", "config-2", "-o", str(iso), str(directory)]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
