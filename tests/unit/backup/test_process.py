"""What the stream costs a process: memory that does not depend on its size, and imports where it is used first."""

import subprocess
import sys
from pathlib import Path

import pytest

MOST_MIB = 96

THROUGH = """
import hashlib, sys
from pathlib import Path

from oslo_config import cfg
from oslo_log import log

from guestagent import conf as options
from guestagent.backup import settings
from guestagent.backup.base import Taken
from guestagent.storage.local import LocalStorage
from tests.unit.backup import streams

size, directory = int(sys.argv[1]), sys.argv[2]
conf = cfg.ConfigOpts()
options.register(conf)
conf([], default_config_files=[], default_config_dirs=[])
conf.set_override("storage_dir", directory, group="agent")
conf.set_override("encryption_keys", ["k:" + "5a" * 32], group="backup")
block = streams.rows(1 << 20)


class Endless:
    left = size

    def read(self, most):
        taken = min(self.left, most, len(block), 300_000)
        self.left -= taken
        return block[:taken]

    def finish(self):
        return Taken({}, 0.0)


chosen = settings.read(conf)
storage = LocalStorage(conf)
from guestagent.backup import reader, writer
if sys.argv[3] == "write":
    written = writer.write(Endless(), storage, streams.CONTEXT, streams.CONTAINER, streams.BACKUP, chosen)
    assert written.size == size
    import msgspec
    Path(directory, "manifest").write_bytes(msgspec.json.encode(streams.manifest_of(written)))
else:
    import msgspec
    from guestagent.backup.manifest import Manifest
    found = msgspec.json.decode(Path(directory, "manifest").read_bytes(), type=Manifest)
    assert sum(map(len, reader.read(found, storage, streams.CONTEXT, streams.CONTAINER, chosen))) == size
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def run(program: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_memory_does_not_grow_with_the_stream(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    for way in ("write", "read"):
        used = int(run(THROUGH, str(600 << 20), str(tmp_path / "big"), way)) / 1024
        print(f"{way}: {used:.0f} MiB")
        assert used < MOST_MIB


@pytest.mark.parametrize(
    "statement",
    [
        "import guestagent.cmd.guestagent",
        "from guestagent.backup import writer, reader, settings, compression, encryption, keyring, segments, throttle",
    ],
)
def test_importing_costs_no_compressor_and_no_cipher(statement: str) -> None:
    imported = set(run(f"{statement}\nimport sys\nprint(*sys.modules)").split())
    assert not {name for name in imported if name.partition(".")[0] in ("zstandard", "cryptography", "_cffi_backend")}
