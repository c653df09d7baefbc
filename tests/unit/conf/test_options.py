"""The runtime's options: what registers them, what lists them, and the files that hold them."""

import logging
from pathlib import Path

import pytest
from oslo_config import cfg

from guestagent import conf as options
from guestagent.conf import opts
from guestagent.plugins.declaration import Declaration

ETC = Path(__file__).resolve().parents[3] / "etc"

GUEST_INFO = """\
[DEFAULT]
guest_id=5c97687d-cddb-4fe1-9f0a-1f343ab75dc6
datastore_manager=alpha
datastore_version=8.0
tenant_id=tenant-a
datastore_registry_ext=alpha:trove.guestagent.datastore.alpha.manager.Manager
replication_strategy=trove.guestagent.strategies.replication.alpha.Replication
ssl_mode=None
network_isolation=True
instance_rpc_encr_key=AFpGKhKtrVP0sWr2TDVYd3KOzO0WxtZy
"""


def read(*files: Path) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    options.load(conf, [f"--config-file={file}" for file in files], "test")
    return conf


def test_everything_that_is_registered_is_listed() -> None:
    conf = cfg.ConfigOpts()
    oslos_own = set(conf)
    options.register(conf)

    listed = {group: {option.dest for option in found} for group, found in opts.list_opts()}

    assert set(conf) - oslos_own == listed["DEFAULT"] | listed.keys() - {"DEFAULT"}
    assert {group: set(conf[group]) for group in listed if group != "DEFAULT"} == {
        group: dests for group, dests in listed.items() if group != "DEFAULT"
    }


def test_every_option_says_what_it_is() -> None:
    assert not [option.name for _, listed in opts.list_opts() for option in listed if not option.help]


def test_what_the_control_plane_injects_is_read_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "guest_info.conf"
    file.write_text(GUEST_INFO)

    conf = read(file)

    assert conf.guest_id == "5c97687d-cddb-4fe1-9f0a-1f343ab75dc6"
    assert conf.datastore_version == "8.0"
    assert conf.ssl_mode == "None"
    assert conf.datastore_registry_ext == {"alpha": "trove.guestagent.datastore.alpha.manager.Manager"}
    assert conf.instance_rpc_encr_key == "AFpGKhKtrVP0sWr2TDVYd3KOzO0WxtZy"


def test_the_key_is_masked_where_options_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "guest_info.conf"
    file.write_text(GUEST_INFO)
    caplog.set_level("DEBUG")

    read(file).log_opt_values(logging.getLogger("options"), logging.DEBUG)

    assert "tenant-a" in caplog.text
    assert "AFpGKhKt" not in caplog.text


@pytest.mark.parametrize("sample", ["image.conf.sample", "guestagent.conf.sample"])
def test_a_sample_as_it_is_changes_nothing(sample: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty.conf"
    empty.touch()
    conf, untouched = read(ETC / sample), read(empty)

    for group, listed in opts.list_opts():
        for option in listed:
            name = option.dest
            if group == "DEFAULT":
                assert conf[name] == untouched[name]
            else:
                assert conf[group][name] == untouched[group][name]


def test_the_sample_of_the_image_shows_every_option_with_its_default(tmp_path: Path) -> None:
    text = (ETC / "image.conf.sample").read_text()
    shown = [line.removeprefix("#") for line in text.splitlines() if line.startswith("#") and " = " in line]
    file = tmp_path / "image.conf"
    file.write_text("[DEFAULT]\nguest_id = 1\n[image]\n" + "\n".join(shown))

    conf = read(file)

    assert {line.partition(" = ")[0] for line in shown} == set(conf.image)
    declaration = Declaration.read(conf)
    assert declaration.datastore == "NAME"
    assert declaration.backup_strategies == ("NAME",)
    assert declaration.archive_strategies == ("NAME",)
    assert declaration.storage_strategies == ("local",)
    assert declaration.modules == ("ping",)
