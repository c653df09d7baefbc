"""A wheelhouse for a release with another Python than this machine's, made in that release."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.image.machine import mirrors
from tests.support.environments import CONSTRAINTS, ROOT

TREE, WHEELS, ENVIRONMENT = "/tree", "/wheels", "/builder"
OF_THIS_MACHINE = ("/etc/pip.conf", "/etc/ssl/certs")
"""How it reaches its packages."""
SECONDS = 600


def wheelhouse(release: str, selection: Sequence[str], wheels: Path, scratch: Path) -> None:
    """Make it.

    :param selection: the options of ``guestagent-image`` that choose.
    :param wheels: an empty directory.
    :param scratch: a new directory for the release's files.
    """
    bootstrap = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates,python3-venv", release]
    _run([*bootstrap, str(scratch), *mirrors()[:1]])
    try:
        container = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", f"--directory={scratch}"]
        container += ["--link-journal=no", "--resolv-conf=copy-host", "--timezone=off", "--console=pipe"]
        container += [f"--bind-ro={path}" for path in OF_THIS_MACHINE if Path(path).exists()]
        container += [f"--bind-ro={ROOT}:{TREE}", f"--bind={wheels}:{WHEELS}"]
        python = f"{ENVIRONMENT}/bin/python"
        constraints = f"{TREE}/{CONSTRAINTS.relative_to(ROOT)}"
        _run([*container, "python3", "-m", "venv", ENVIRONMENT])
        _run(
            [
                *container,
                python,
                "-m",
                "pip",
                "install",
                "--quiet",
                f"--constraint={constraints}",
                "packaging",
                "setuptools",
            ]
        )
        command = [python, "-m", "guestagent_image", "wheelhouse", *selection, f"--source={TREE}"]
        command += [f"--constraint={constraints}", f"--output={WHEELS}"]
        _run([*container, f"--setenv=PYTHONPATH={TREE}/elements", "--setenv=PYTHONDONTWRITEBYTECODE=1", *command])
    finally:
        shutil.rmtree(scratch)


def _run(argv: Sequence[str]) -> None:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}:\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
