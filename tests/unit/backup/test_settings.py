"""``[backup]``: defaults, and options that do not fit each other."""

import logging
from pathlib import Path

import pytest
from oslo_config import cfg

from guestagent.backup import compression, encryption, settings
from guestagent.backup.keyring import KeysUnusable
from guestagent.backup.settings import Settings
from guestagent.conf import backup
from guestagent.contract.errors import InvalidValue

KEY = "2025:" + "5a" * 32


def test_the_defaults_are_those_of_the_options(conf: cfg.ConfigOpts) -> None:
    assert settings.read(conf) == Settings()


def test_the_choices_are_what_there_is() -> None:
    choices = {
        option.name: list(option.type.choices) for option in backup.OPTIONS if getattr(option.type, "choices", 0)
    }
    assert sorted(choices["compression"]) == sorted(compression.METHODS)
    assert sorted(choices["encryption_algorithm"]) == sorted([*encryption.ALGORITHMS, "none"])


def test_every_option_arrives(conf: cfg.ConfigOpts, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.touch(mode=0o600)
    file.write_text("a " + "11" * 32 + "\nb " + "22" * 32 + "\n")
    given = {
        "compression": "gzip",
        "compression_level": 6,
        "compression_threads": 3,
        "encryption_algorithm": "ChaCha20-Poly1305",
        "encryption_key_file": str(file),
        "encryption_key_id": "b",
        "segment_size": 1 << 20,
        "parallel_transfers": 5,
        "bandwidth_limit": 6,
        "io_limit": 7,
        "retries": 8,
        "retry_patience": 9,
    }
    for name, value in given.items():
        conf.set_override(name, value, group="backup")
    found = settings.read(conf)
    assert (found.compression, found.level, found.threads) == ("gzip", 6, 3)
    assert (found.algorithm, found.segment_size, found.parallel) == ("ChaCha20-Poly1305", 1 << 20, 5)
    assert (found.bandwidth_limit, found.io_limit) == (6, 7)
    assert (found.patience.retries, found.patience.seconds) == (8, 9)
    assert found.keys is not None
    assert found.keys.current == "b"


@pytest.mark.parametrize(
    ("algorithm", "keys", "expected"),
    [
        (None, [], None),
        (None, [KEY], "AES-256-GCM"),
        ("none", [KEY], None),
        ("none", [], None),
        ("ChaCha20-Poly1305", [KEY], "ChaCha20-Poly1305"),
    ],
)
def test_what_encrypts_depends_on_the_algorithm_and_the_keys(
    conf: cfg.ConfigOpts, algorithm: str | None, keys: list[str], expected: str | None
) -> None:
    conf.set_override("encryption_algorithm", algorithm, group="backup")
    conf.set_override("encryption_keys", keys, group="backup")
    found = settings.read(conf)
    assert found.algorithm == expected
    assert (found.keys is not None) == bool(keys), "what does not encrypt decrypts all the same"


def test_an_algorithm_without_a_key_is_no_silent_plain_text(conf: cfg.ConfigOpts) -> None:
    conf.set_override("encryption_algorithm", "AES-256-GCM", group="backup")
    with pytest.raises(KeysUnusable, match="AES-256-GCM needs a key"):
        settings.read(conf)


@pytest.mark.parametrize("level", [-1, 0, 10, 19])
def test_gzip_has_nine_levels(conf: cfg.ConfigOpts, level: int) -> None:
    conf.set_override("compression_level", level, group="backup")
    settings.read(conf)
    conf.set_override("compression", "gzip", group="backup")
    with pytest.raises(InvalidValue, match="gzip has the levels 1 to 9"):
        settings.read(conf)


def test_keys_are_masked_where_options_are_logged(conf: cfg.ConfigOpts, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    conf.set_override("encryption_keys", [KEY], group="backup")
    conf.log_opt_values(logging.getLogger("options"), logging.DEBUG)
    assert "backup.encryption_keys" in caplog.text
    assert "5a5a" not in caplog.text
    assert "5a5a" not in repr(settings.read(conf))
