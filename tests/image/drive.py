"""What Nova gives a machine when the control plane asks for a guest: a drive with its metadata and user data."""

import base64
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

Sections = Mapping[str, Mapping[str, object]]


def files(guest_id: str, datastore: str, agent: Sections) -> dict[str, str]:
    """The control plane's files in a guest.

    :param agent: the operator's file for agents.
    """
    info = {"DEFAULT": {"guest_id": guest_id, "datastore_manager": datastore, "tenant_id": "tenant-a"}}
    sections = {"/etc/trove/conf.d/trove-guestagent.conf": agent, "/etc/trove/conf.d/guest_info.conf": info}
    return {path: _ini(content) for path, content in sections.items()}


def user_data(files: Mapping[str, str]) -> str:
    """As the control plane sends it: cloud-init writes its files."""
    written = [
        {"path": path, "encoding": "b64", "permissions": "0600", "content": _base64(text)}
        for path, text in files.items()
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


def _ini(sections: Sections) -> str:
    lines = []
    for name, options in sections.items():
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in options.items())]
    return "\n".join(lines) + "\n"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
