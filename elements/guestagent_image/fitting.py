"""Whether an agent would start from a wheelhouse, found out by letting its loader load it."""

import json
import tempfile
from pathlib import Path

from guestagent_image.errors import ToolFailed, Unfit
from guestagent_image.tools import run
from guestagent_image.wheelhouse import DECLARATION, install

LOAD = """
import json, sys
from oslo_config import cfg
from guestagent import conf
from guestagent.plugins.declaration import Declaration
from guestagent.plugins.errors import PluginError
from guestagent.plugins.loader import load
conf.load(cfg.CONF, ["--config-file", sys.argv[1], "--config-dir", sys.argv[2]], "guestagent")
try:
    print(json.dumps(load(Declaration.read(cfg.CONF)).description))
except PluginError as error:
    sys.exit(str(error))
"""
"""What the agent does before it connects to anything."""


def check(wheelhouse: Path) -> dict[str, object]:
    """Install a wheelhouse aside and load what it declares.

    :returns: the loaded plugins with their distributions and versions.
    :raises Unfit: a strategy is for another datastore, a name is offered by nobody, a plugin is for another
        runtime.
    """
    with tempfile.TemporaryDirectory(prefix="guestagent-fit-") as scratch:
        python = install(wheelhouse, Path(scratch) / "agent")
        injected = Path(scratch) / "conf.d"
        injected.mkdir()
        (injected / "guest_info.conf").write_text("[DEFAULT]\nguest_id = none-yet\n")
        try:
            said = run([str(python), "-I", "-c", LOAD, str(wheelhouse / DECLARATION), str(injected)])
        except ToolFailed as error:
            raise Unfit(problem=str(error).partition("failed: ")[2]) from None
    loaded: dict[str, object] = json.loads(said.splitlines()[-1])
    return loaded
