"""What a builder is shown of an image, and of a build."""

from pathlib import Path

import pytest
from guestagent_image import arguments, building, cyclonedx, inventory, table, wheelhouse
from guestagent_image.errors import NoWheelhouse, OtherPython, UnknownElement
from guestagent_image.inventory import Inventory, Package

BETA = "Classifier: Development Status :: 4 - Beta\n"
INVENTORY = Inventory(
    system="Some system 12",
    agent_bytes=3 << 20,
    distributions=[
        Package("guestagent", "0.1.0", 1 << 20, "apache-2.0", "stable"),
        Package("vine_Lib", "5.1.0", 2048, "BSD License"),
    ],
    packages=[Package("libc6", "2.36-9+deb12u14", 12 << 20)],
    datastores=["guestagent-one"],
    plugins={"datastore": ["one"], "backup": []},
    declared={"datastore": ["one"], "backup": []},
)


def test_the_table_names_plugins_distributions_and_packages():
    lines = [line.split() for line in table.text(INVENTORY).splitlines()]

    assert ["datastore", "one", "one"] in lines
    assert ["guestagent", "0.1.0", "1.0", "stable", "apache-2.0"] in lines
    assert ["vine_Lib", "5.1.0", "0.0", "BSD", "License"] in lines
    assert ["libc6", "2.36-9+deb12u14", "12.0"] in lines


def test_the_bill_has_an_address_for_every_component():
    document = cyclonedx.bill(INVENTORY, "guest.qcow2")

    assert document["bomFormat"] == "CycloneDX"
    assert [component["purl"] for component in document["components"]] == [
        "pkg:pypi/guestagent@0.1.0",
        "pkg:pypi/vine-lib@5.1.0",
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14",
    ]
    first, second, _ = document["components"]
    assert first["licenses"] == [{"expression": "Apache-2.0"}]
    assert second["licenses"] == [{"license": {"name": "BSD License"}}]
    size = {"name": "guestagent:bytes", "value": "1048576"}
    assert first["properties"] == [size, {"name": "guestagent:maturity", "value": "stable"}]
    assert second["properties"] == [{"name": "guestagent:bytes", "value": "2048"}]
    assert document["metadata"]["component"]["properties"] == [
        {"name": "guestagent:declared:datastore", "value": "one"},
        {"name": "guestagent:installed:datastore", "value": "one"},
    ]


def test_an_inventory_is_read_from_files(tmp_path: Path):
    about = tmp_path / "opt/guestagent/lib/python3.11/site-packages/one-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: one\nVersion: 1\nLicense-Expression: MIT\n{BETA}")
    (about / "entry_points.txt").write_text("[guestagent.datastore]\none = one:One\n")
    (about / "RECORD").write_text("one-1.dist-info/METADATA,,\none/gone.py,,\n")
    library = about.with_name("library-1.dist-info")
    library.mkdir()
    (library / "METADATA").write_text(f"Metadata-Version: 2.1\nName: library\nVersion: 1\n{BETA}")
    (tmp_path / "etc/guestagent").mkdir(parents=True)
    (tmp_path / "etc/os-release").write_text('PRETTY_NAME="Some system"\n')
    (tmp_path / "etc/guestagent/image.conf").write_text("[image]\ndatastore = one\nbackup_strategies = a, b\n")
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(
        "Package: libc6\nStatus: install ok installed\nInstalled-Size: 3\nVersion: 2\nDescription: C\n more\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
    )

    copyrights = tmp_path / "usr/share/doc/libc6"
    copyrights.mkdir(parents=True)
    (copyrights / "copyright").write_text(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
        "Files: *\nLicense: LGPL-2.1+\n\nFiles: a\nLicense: BSD-3-clause\n Permission is\n\nLicense: LGPL-2.1+\n"
    )

    found = inventory.read(tmp_path)

    assert found.system == "Some system"
    assert [(one.name, one.licence, one.maturity) for one in found.distributions] == [
        ("library", "", ""),
        ("one", "MIT", "technical-preview"),
    ]
    assert found.packages == [Package("libc6", "2", 3072, "BSD-3-clause, LGPL-2.1+")]
    assert found.plugins["datastore"] == ["one"]
    assert found.datastores == ["one"]
    assert found.declared["backup"] == ["a", "b"]
    assert found.declared["storage"] == ["local"]


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("2026-01-01 00:00:00.000 | Running hooks from /tmp/dib_build.x/hooks/root.d\n", "root"),
        ("2026-01-01 00:00:00.000 | dib-run-parts Running /tmp/in_target.d/install.d/50-one\n", "install.d/50-one"),
        ("2026-01-01 00:00:00.000 | Converting image using qemu-img convert\n", "convert"),
        ("2026-01-01 00:00:00.000 | Setting up libc6\n", None),
    ],
)
def test_the_steps_of_a_build_are_read_from_what_it_says(line: str, step: str | None):
    assert building.phase(line) == step


def test_a_datastore_without_an_element_is_refused_before_the_build():
    with pytest.raises(UnknownElement, match=r"guestagent-none-such; there are .*guestagent-mariadb"):
        building.Recipe("debian", "bookworm", "none-such").check("3.11")


def test_a_release_with_another_python_is_refused():
    with pytest.raises(OtherPython, match=r"trixie has Python 3\.13, and the wheels are for 3\.11"):
        building.Recipe("debian", "trixie", "mariadb").check("3.11")


def test_a_wheelhouse_says_which_datastore_and_which_python_it_is_for(tmp_path: Path):
    (tmp_path / "requirements.txt").touch()
    with pytest.raises(NoWheelhouse, match=r"image\.conf"):
        wheelhouse.datastore(tmp_path)
    (tmp_path / "image.conf").write_text("[image]\ndatastore = one\n")
    assert wheelhouse.datastore(tmp_path) == "one"

    for name in ("pip-25.0-py3-none-any.whl", "cryptography-50.0-cp37-abi3-manylinux_2_28_x86_64.whl"):
        (tmp_path / name).touch()
    assert wheelhouse.python(tmp_path) == wheelhouse.OWN_PYTHON
    (tmp_path / "msgspec-0.22-cp313-cp313-manylinux_2_17_x86_64.whl").touch()
    assert wheelhouse.python(tmp_path) == "3.13"


@pytest.mark.parametrize(
    "wrong",
    [
        ["build", "-o", "a.qcow2"],
        ["build", "--wheelhouse=w", "--datastore=one", "-o", "a.qcow2"],
        ["build", "--wheelhouse=w", "--backup=dump", "-o", "a.qcow2"],
        ["build", "--datastore=one", "-o", "a.vmdk"],
        ["wheelhouse", "--wheelhouse=w", "-o", "other"],
    ],
    ids=" ".join,
)
def test_what_says_two_things_or_none_is_a_wrong_command_line(wrong: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        arguments.parse(wrong)

    assert ended.value.code == 2
    assert "usage: guestagent-image" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("compression", "options"),
    [
        ("zstd", ["-n", "--qemu-img-options", "compression_type=zstd,cluster_size=256K"]),
        ("zlib", ["-n"]),
        ("none", ["-n", "-u"]),
    ],
)
def test_the_compression_is_asked_for_in_the_words_of_diskimage_builder(compression: str, options: list[str]):
    _, *arguments = building.command(building.Recipe("debian", "bookworm", "mariadb", compression=compression))

    assert arguments == [*options, "guestagent-debian", "guestagent-mariadb", "vm", "block-device-mbr"]
