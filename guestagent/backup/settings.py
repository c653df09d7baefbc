"""What ``[backup]`` says, checked once and handed around."""

from pathlib import Path
from typing import Final

import msgspec
from oslo_config import cfg

from guestagent.backup import compression, encryption, keyring
from guestagent.backup.keyring import Keyring, KeysUnusable
from guestagent.backup.patience import Patience
from guestagent.contract.errors import InvalidValue

GZIP_LEVELS: Final = range(1, 10)
DEFAULT_PATIENCE: Final = Patience(retries=5, seconds=600)


class Settings(msgspec.Struct, frozen=True):
    """How streams are written and read.

    :ivar compression: ``zstd``, ``gzip`` or ``none``; as all that is not said otherwise, of new backups.
    :ivar level: of the compression.
    :ivar threads: that compress or decompress.
    :ivar algorithm: of the encryption; none: new backups are not encrypted.
    :ivar keys: none: there are none.
    :ivar segment_size: bytes of one object.
    :ivar parallel: segments that are sent or fetched at a time.
    :ivar bandwidth_limit: bytes per second to or from the store; 0: no limit.
    :ivar io_limit: bytes per second of the database's stream; 0: no limit.
    :ivar patience: with the store.
    """

    compression: str = compression.ZSTD
    level: int = 1
    threads: int = 2
    algorithm: str | None = None
    keys: Keyring | None = None
    segment_size: int = 1 << 24
    parallel: int = 2
    bandwidth_limit: int = 0
    io_limit: int = 0
    patience: Patience = DEFAULT_PATIENCE

    def __post_init__(self) -> None:
        if self.compression == compression.GZIP and self.level not in GZIP_LEVELS:
            raise InvalidValue(subject="[backup] compression_level", problem="gzip has the levels 1 to 9")
        if self.algorithm is not None and self.keys is None:
            problem = f"{self.algorithm} needs a key; set encryption_key_file"
            raise KeysUnusable(origin="[backup]", problem=problem)


def read(conf: cfg.ConfigOpts) -> Settings:
    """The settings of a configuration; the key file is read now.

    :raises KeysUnusable: there is something wrong with the keys.
    :raises InvalidValue: options do not fit each other.
    """
    options = conf.backup
    path = options.encryption_key_file
    keys = keyring.read(options.encryption_keys, Path(path) if path else None, options.encryption_key_id)
    algorithm = options.encryption_algorithm
    if algorithm is None and keys is not None:
        algorithm = encryption.AES
    return Settings(
        compression=options.compression,
        level=options.compression_level,
        threads=options.compression_threads,
        algorithm=None if algorithm == "none" else algorithm,
        keys=keys,
        segment_size=options.segment_size,
        parallel=options.parallel_transfers,
        bandwidth_limit=options.bandwidth_limit,
        io_limit=options.io_limit,
        patience=Patience(options.retries, options.retry_patience),
    )
