"""What an installation weighs."""

import sysconfig
from pathlib import Path

import pytest

from benchmarks.weight import weigh


def install(environment: Path, distribution: str, module: str, size: int) -> None:
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(environment)}))
    info = packages / f"{distribution}-1.0.dist-info"
    info.mkdir(parents=True)
    (packages / module).write_bytes(bytes(size))
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "RECORD").write_text(f"{module},,\n{info.name}/METADATA,,\n{info.name}/RECORD,,\n")


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    install(tmp_path, "small", "small.py", 1 << 20)
    return tmp_path


def test_files_bytes_and_distributions_are_counted(environment: Path):
    weight = weigh(environment)

    assert weight.installed_mib == pytest.approx(1, abs=0.001)
    assert (weight.installed_files, weight.installed_distributions) == (3, 1)


def test_what_only_installs_does_not_count(environment: Path):
    before = weigh(environment)
    install(environment, "setuptools", "setuptools.py", 5 << 20)

    assert weigh(environment) == before


def test_links_weigh_nothing(environment: Path):
    before = weigh(environment)
    (environment / "bin").mkdir()
    (environment / "bin" / "python").symlink_to("/usr/bin/env")

    assert weigh(environment) == before
