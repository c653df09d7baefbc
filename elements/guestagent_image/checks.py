"""What must not be in an image, and what must: each check reads files below a directory and tells what it found."""

import dataclasses
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from guestagent_image import inventory

TEXT_LIMIT = 4 << 20
"""Bytes; what is larger is neither configuration nor the log of a build."""
WRITTEN = (
    *("boot/grub", "etc", "home", "opt/guestagent/share", "root", "usr/local"),
    *("var/cache", "var/lib/apt", "var/lib/cloud", "var/lib/guestagent", "var/log"),
)
"""Where a build, and not a package, leaves files."""
OWN_MIRRORS = re.compile(r"https?://(deb|security)\.debian\.org(/|$)")
MIRRORS = (
    *("DIB_DISTRIBUTION_MIRROR", "DIB_DEBIAN_SECURITY_MIRROR", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"),
    *("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"),
)
VARIABLE = r"\bDIB_[A-Z0-9_]+[\"']?\s*[=:]"
"""One of diskimage-builder's with its value, in a shell's, an INI's or JSON's words."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    :ivar id: of the check, for programs.
    :ivar path: below the image's root; empty where it is about no file.
    :ivar sentence: what to do.
    """

    id: str
    path: str
    sentence: str


@dataclasses.dataclass(frozen=True)
class Builder:
    """What of the machine that builds must not be found: nothing, where that is not known.

    :ivar words: addresses of its mirrors and proxies.
    :ivar units: those of the database's packages.
    """

    words: tuple[str, ...] = ()
    units: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Builder":
        """From the variables of a build."""
        mirrors = (environment.get(name, "").rstrip("/") for name in MIRRORS)
        return cls(
            words=tuple(mirror for mirror in mirrors if mirror and not OWN_MIRRORS.match(mirror)),
            units=tuple(environment.get("DIB_GUESTAGENT_DATABASE_UNITS", "").split()),
        )


Check = Callable[[Path, Builder], Iterator[Finding]]


def check(root: Path, builder: Builder) -> list[Finding]:
    """Make all checks below a directory."""
    return [finding for look in CHECKS for finding in look(root, builder)]


def _keys(root: Path, _builder: Builder) -> Iterator[Finding]:
    for path, text in _texts(root):
        if re.search(r"-----BEGIN [A-Z ]*PRIVATE KEY-----", text) or path.name in ("authorized_keys", "id_rsa"):
            yield _at("image.key", root, path, "A key that all guests would share; remove the file.")


def _passwords(root: Path, _builder: Builder) -> Iterator[Finding]:
    shadow = root / "etc/shadow"
    if not shadow.exists():
        yield _at("image.password", root, shadow, "No account is known to be locked; the system needs this file.")
        return
    for line in shadow.read_text().splitlines():
        account, password = line.split(":")[:2]
        if not password.startswith(("*", "!")):
            # With none at all anybody gets in.
            yield _at("image.password", root, shadow, f"The account {account} is not locked; lock it.")


def _injected(root: Path, _builder: Builder) -> Iterator[Finding]:
    for place in ("etc/trove", "var/lib/cloud/instance", "var/lib/cloud/instances", "var/lib/cloud/seed"):
        for path in (root / place).rglob("*"):
            if path.is_file():
                sentence = "What the control plane injects is of one instance; remove the file."
                yield _at("image.injected", root, path, sentence)
    for path in (root / "var/lib/guestagent").glob("*"):
        yield _at("image.used", root, path, "An agent has run in this image; build a new one.")


def _machine(root: Path, _builder: Builder) -> Iterator[Finding]:
    path = root / "etc/machine-id"
    if not path.exists() or path.read_text().strip() == "uninitialized":
        # See machine-id(5), "First Boot Semantics".
        sentence = "systemd would ask questions and enable units at the first boot; make it an empty file."
        yield _at("image.first-boot", root, path, sentence)
    elif path.read_text().strip():
        yield _at("image.machine-id", root, path, "All guests would be one machine; empty the file.")


def _resolver(root: Path, _builder: Builder) -> Iterator[Finding]:
    path = root / "etc/resolv.conf"
    saved = path.with_name("resolv.conf.ORIG")
    if not path.is_symlink() and (saved.is_symlink() or saved.exists()):
        # diskimage-builder puts this in its place at the end.
        path = saved
    if path.is_file() and not path.is_symlink() and "nameserver" in path.read_text():
        yield _at("image.resolver", root, path, "The builder's resolver; let the image's own service make the file.")


def _builders_words(root: Path, builder: Builder) -> Iterator[Finding]:
    manifests = root / "etc/dib-manifests"
    if manifests.exists():
        yield _at("image.variables", root, manifests, "The variables of the build; remove the directory.")
    words = "|".join([VARIABLE, *map(re.escape, builder.words)])
    for path, text in _texts(root):
        found = re.search(words, text)
        if found and manifests not in path.parents:
            sentence = f"It holds '{found[0]}' of the machine that built the image; take that out."
            yield _at("image.builder", root, path, sentence)


def _installer(root: Path, _builder: Builder) -> Iterator[Finding]:
    for site in inventory.site_packages(root):
        for name in ("pip", "setuptools"):
            if (site / name).exists():
                yield _at("image.installer", root, site / name, "The agent's environment installs nothing; remove it.")


def _plugins(root: Path, _builder: Builder) -> Iterator[Finding]:
    found = inventory.read(root)
    if len(found.datastores) != 1:
        sentence = f"An image has exactly one datastore plugin, not {', '.join(found.datastores) or 'none'}."
        yield Finding("image.datastores", inventory.AGENT, sentence)
    if not found.declared["datastore"]:
        sentence = "image.conf declares no datastore; set [image] datastore."
        yield Finding("image.declaration", "etc/guestagent/image.conf", sentence)
    for kind, names in found.declared.items():
        for name in names:
            if name not in found.plugins[kind]:
                sentence = f"image.conf declares the {kind} '{name}', which is not installed; install or drop it."
                yield Finding("image.declaration", "etc/guestagent/image.conf", sentence)


def _units(root: Path, builder: Builder) -> Iterator[Finding]:
    system = root / "etc/systemd/system"
    for wanted in ("multi-user.target.wants/guestagent.service", "paths.target.wants/guestagent.path"):
        if not (system / wanted).is_symlink():
            yield _at("image.unit", root, system / wanted, "The agent's unit is not enabled; enable it.")
    for unit in builder.units:
        path = system / unit
        if not path.is_symlink() or path.readlink() != Path(os.devnull):
            yield _at("image.database", root, path, "The database would start before the agent says so; mask the unit.")


CHECKS: tuple[Check, ...] = (
    _keys,
    _passwords,
    _injected,
    _machine,
    _resolver,
    _builders_words,
    _installer,
    _plugins,
    _units,
)


def _texts(root: Path) -> Iterator[tuple[Path, str]]:
    for place in WRITTEN:
        for path in sorted((root / place).rglob("*")):
            if path.is_file() and not path.is_symlink() and path.stat().st_size <= TEXT_LIMIT:
                yield path, path.read_text(errors="replace")


def _at(check_id: str, root: Path, path: Path, sentence: str) -> Finding:
    return Finding(check_id, str(path.relative_to(root)), sentence)
