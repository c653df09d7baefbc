"""The smallest driver: it gives back the message that the module holds."""

from pathlib import Path

from guestagent.contract.errors import InvalidValue
from guestagent.contract.modules import Module
from guestagent.modules.driver import ModuleDriver


class PingDriver(ModuleDriver):
    """Answers with the value of the line ``message=…``, to show that modules reach the guest."""

    def apply(self, module: Module, contents: Path) -> str:
        for line in contents.read_text(errors="replace").splitlines():
            key, separator, value = line.partition("=")
            if separator and key.strip().lower() == "message":
                return value.strip()
        raise InvalidValue(subject=f"Module {module.name!r}", problem="its contents have no line 'message=…'")

    def remove(self, module: Module, contents: Path) -> None:
        pass
