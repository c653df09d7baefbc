"""A newer PostgreSQL than the machine's distribution has: that of Debian 13, unpacked beside it and installed nowhere.

``make deps`` runs this module, so that no test waits for packages. The programs run with the loader and the libraries
that they were built for, which lie beside them: nothing else on the machine is another one because of them.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

MAJOR = 17
SUITE = "trixie"
PACKAGES = f"""
    postgresql-{MAJOR} postgresql-client-{MAJOR} libpq5
    libc6 libgcc-s1 libstdc++6
    libaudit1 libcap-ng0 libcap2 libcom-err2 libgssapi-krb5-2 libicu76 libk5crypto3 libkeyutils1 libkrb5-3
    libkrb5support0 libldap2 liblz4-1 liblzma5 libpam0g libreadline8t64 libsasl2-2 libselinux1 libssl3t64 libsystemd0
    libtinfo6 libuuid1 libxml2 libzstd1 zlib1g
""".split()
"""The server, and what its programs are linked with. Compiling queries is left out: that library is larger than all
of these."""
TOOLS = ("apt-get", "dpkg", "patchelf")
SECONDS = 300

_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
_LIBRARIES = Path("usr/lib/x86_64-linux-gnu")


def versions_dir() -> Path:
    """The directory of the version's programs, as ``[postgresql] versions_dir`` wants it; made if it is missing.

    It lies where the server's account can reach it, wherever this tree is. Repeating it is safe, also at the same time.

    :raises FileNotFoundError: the machine is none of Debian's, or lacks one of :data:`TOOLS`.
    :raises subprocess.CalledProcessError: the packages cannot be had.
    """
    cache = Path("/var/cache") if os.geteuid() == 0 else Path.home() / ".cache"
    place = cache / "guestagent-tests" / f"postgresql-{MAJOR}"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.parent.chmod(0o755)
    with (place.parent / f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _make(place)
    return place / "usr/lib/postgresql"


def _make(place: Path) -> None:
    unfinished = place.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    # Below it are only names of packages' own files.
    downloads = unfinished / "downloads"
    _download(downloads)
    for package in sorted(downloads.glob("*.deb")):
        _run("dpkg", "--extract", str(package), str(unfinished))
    shutil.rmtree(downloads)
    for useless in (*unfinished.glob("usr/lib/postgresql/*/lib/llvmjit*"), unfinished / "usr/share/doc"):
        if useless.is_dir():
            shutil.rmtree(useless)
        else:
            useless.unlink()
    loader = place / _LIBRARIES / "ld-linux-x86-64.so.2"
    for program in sorted(unfinished.glob(f"usr/lib/postgresql/{MAJOR}/bin/*")):
        if program.read_bytes()[:4] == b"\x7fELF":
            # What the server loads later is looked for there too, which only the older kind of entry does.
            how = ["--force-rpath", "--set-rpath", str(place / _LIBRARIES), "--set-interpreter", str(loader)]
            _run("patchelf", *how, str(program))
    unfinished.rename(place)


def _download(directory: Path) -> None:
    """Fetch the packages with an apt of their own, which knows nothing of what is installed and changes nothing."""
    state, sources = directory / "state", directory / "sources"
    for made in (state / "lists/partial", directory / "cache/archives/partial", sources):
        made.mkdir(parents=True)
    (state / "status").touch()
    # The archive that the machine uses already, whichever mirror that is.
    [paragraph] = [one for one in _SOURCES.read_text().split("\n\n") if "-updates" in one]
    (sources / "debian.sources").write_text(re.sub(r"(?m)^Suites:.*", f"Suites: {SUITE}", paragraph) + "\n")
    configuration = directory / "apt.conf"
    configuration.write_text(
        f'Dir::State "{state}";\n'
        f'Dir::State::status "{state}/status";\n'
        f'Dir::Cache "{directory}/cache";\n'
        'Dir::Etc::sourcelist "/dev/null";\n'
        f'Dir::Etc::sourceparts "{sources}";\n'
        'Dir::Etc::preferencesparts "/dev/null";\n'
        'APT::Sandbox::User "";\n'
        'Acquire::Languages "none";\n'
    )
    for call in (["update"], ["download", *PACKAGES]):
        _run("apt-get", "--quiet", "--quiet", *call, directory=directory, APT_CONFIG=str(configuration))


def _run(*argv: str, directory: Path | None = None, **environment: str) -> None:
    if shutil.which(argv[0]) is None:
        raise FileNotFoundError(f"the tests with PostgreSQL {MAJOR} need {', '.join(TOOLS)}")
    subprocess.run(
        argv,
        cwd=directory,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        timeout=SECONDS,
        check=True,
    )


if __name__ == "__main__":
    try:
        versions_dir()
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(f"PostgreSQL {MAJOR} cannot be had: {error}")
