"""What may be on an image: what is refused before anything is built, by the command's own words."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from guestagent_image import cli, policy
from guestagent_image.maturity import Maturity

from tests.support.environments import ROOT

SAMPLE = ROOT / "elements/image-policy.conf.sample"
ALPHA, BETA, STABLE = "3 - Alpha", "4 - Beta", "5 - Production/Stable"
PASSED = "There is no element guestagent-one"
"""What a build asks next."""

Build = Callable[..., str]


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheelhouse of the runtime, a library and the datastore ``one``, on a machine without a policy."""
    monkeypatch.setattr(policy, "DEFAULT", tmp_path / "image-policy.conf")
    directory = tmp_path / "wheels"
    directory.mkdir()
    (directory / "requirements.txt").touch()
    (directory / "image.conf").write_text("[image]\ndatastore = one\n")
    add(directory, "guestagent", BETA, "guestagent.storage")
    add(directory, "library", None, "console_scripts")
    add(directory, "Guestagent_One", BETA, "guestagent.datastore")
    return directory


def add(directory: Path, name: str, status: str | None, group: str) -> None:
    """Write a wheel that offers something, over another one of its name."""
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    about += f"Classifier: Development Status :: {status}\n" if status else ""
    with zipfile.ZipFile(directory / f"{name.lower().replace('-', '_')}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", about)
        wheel.writestr(f"{name}-1.0.dist-info/entry_points.txt", f"[{group}]\none = one:One\n")


@pytest.fixture
def build(wheels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Build:
    """Asks for an image of the wheelhouse; what the command says, which always refuses it for one reason or another."""

    def run(*options: str | Path) -> str:
        image = tmp_path / "guest.qcow2"
        code = cli.main(["build", f"--wheelhouse={wheels}", f"--output={image}", *map(str, options)])
        said = capsys.readouterr().err
        assert code == 1
        assert len(said.splitlines()) == 1
        return said

    return run


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["[policy]", *lines, ""]))
    return path


@pytest.mark.parametrize("status", [None, ALPHA, "7 - Inactive", "4 - beta"])
def test_what_is_experimental_is_asked_for_by_name(wheels: Path, build: Build, status: str | None) -> None:
    add(wheels, "guestagent-two", status, "guestagent.backup")

    refused = build()

    assert "holds what is experimental: guestagent-two 1.0; " in refused
    assert "say --experimental" in refused
    assert PASSED in build("--experimental")


def test_other_levels_and_other_distributions_are_not(wheels: Path, build: Build) -> None:
    add(wheels, "guestagent-two", STABLE, "guestagent.backup")

    assert PASSED in build()


def test_a_policy_wants_a_level_whatever_the_builder_says(wheels: Path, build: Build, tmp_path: Path) -> None:
    add(wheels, "guestagent-two", ALPHA, "guestagent.backup")
    preview = write(tmp_path / "preview.conf", "maturity = technical-preview")

    refused = build("--experimental", "--policy", preview)

    assert refused.startswith(f"guestagent-image: The policy {preview} refuses this selection: ")
    assert "guestagent-two 1.0 is experimental, and less than technical-preview; choose" in refused
    assert "One" not in refused
    add(wheels, "guestagent-two", BETA, "guestagent.backup")
    assert PASSED in build("--policy", preview)
    stable = write(tmp_path / "stable.conf", "maturity = stable")
    assert "Guestagent_One 1.0 is technical-preview, and less than stable" in build("--policy", stable)


def test_a_policy_does_not_ask_in_the_builders_place(wheels: Path, build: Build, tmp_path: Path) -> None:
    add(wheels, "guestagent-two", ALPHA, "guestagent.backup")

    assert "say --experimental" in build("--policy", write(tmp_path / "any.conf", "maturity = experimental"))


@pytest.mark.parametrize("refused", ["guestagent-one", "guestagent.ONE", "*_one", "acme-*, guestagent-on?"])
def test_a_policy_refuses_names_in_every_spelling(build: Build, tmp_path: Path, refused: str) -> None:
    rules = write(tmp_path / "rules.conf", "allow = guestagent-one", f"refuse = {refused}")

    assert "Guestagent_One is refused by '" in build("--policy", rules)


def test_a_policy_allows_names_and_the_runtime(build: Build, tmp_path: Path) -> None:
    assert PASSED in build("--policy", write(tmp_path / "this.conf", "allow = acme-*,", "  guestagent-one"))
    for allowed in ("acme-*", ""):
        said = build("--policy", write(tmp_path / "other.conf", f"allow = {allowed}"))
        assert said.partition("selection: ")[2].startswith("Guestagent_One is not allowed; ")


def test_the_machines_own_policy_counts_where_no_other_is_named(build: Build, tmp_path: Path) -> None:
    write(policy.DEFAULT, "refuse = guestagent-one")

    assert str(policy.DEFAULT) in build()
    assert PASSED in build("--policy", write(tmp_path / "other.conf"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[policy]\nmaturiy = stable\n", "there is no option maturiy"),
        ("[policy]\nmaturity = gold\n", "maturity is one of experimental, technical-preview, stable, and not 'gold'"),
        ("[policy]\nmaturity =\n", "and not ''"),
        ("[policy]\nrefuse = a b\n", "'a b' is no name"),
        ("[policy]\nrefuse = a # because\n", "'a # because' is no name"),
        ("[policy]\nrefuse = a[bc]\n", "'a[bc]' is no name"),
        ("[policy]\nrefuse = a\nrefuse = b\n", "option 'refuse' in section 'policy' already exists"),
        ("[policy]\nrefuse\n", "parsing errors"),
        ("[DEFAULT]\nrefuse = a\n[policy]\n", "['DEFAULT', 'policy']"),
        ("[policy]\n[more]\n", "['policy', 'more']"),
        ("refuse = a\n", "no section headers"),
        ("", "its one section has to be [policy]"),
        ("[policy]\nrefuse = \xff\n", "codec can't decode"),
    ],
)
def test_a_policy_that_nobody_understands_lets_nothing_pass(build: Build, text: str, problem: str) -> None:
    policy.DEFAULT.write_bytes(text.encode("latin-1"))

    said = build()

    assert said.startswith(f"guestagent-image: {policy.DEFAULT} is no policy for images: ")
    assert problem in said


def test_a_policy_that_is_named_has_to_be_there(build: Build, tmp_path: Path) -> None:
    assert "No such file" in build("--policy", tmp_path / "none.conf")
    assert "Is a directory" in build("--policy", tmp_path)


def test_a_wheelhouse_is_not_begun_with_a_wrong_policy(wheels: Path, tmp_path: Path) -> None:
    write(policy.DEFAULT, "maturiy = stable")

    assert cli.main(["wheelhouse", "--datastore=one", f"--output={tmp_path / 'new'}"]) == 1
    assert not (tmp_path / "new").exists()


def test_the_sample_says_what_is_so_without_it(tmp_path: Path) -> None:
    lines = [line.removeprefix("#") if " = " in line else line for line in SAMPLE.read_text().splitlines()]
    path = tmp_path / "sample.conf"
    path.write_text("\n".join(lines))

    assert policy.read(SAMPLE) == policy.Policy(SAMPLE)
    assert policy.read(path) == policy.Policy(path, Maturity.EXPERIMENTAL, ("*",), ("acme-*", "guestagent-none-such"))
