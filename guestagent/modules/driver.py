"""What a module driver does."""

import abc
from pathlib import Path

from guestagent.contract.modules import Module


class ModuleDriver(abc.ABC):
    """Applies and removes the modules of one type, the name of its entry point in ``guestagent.module``."""

    @abc.abstractmethod
    def apply(self, module: Module, contents: Path) -> str:
        """Apply the module; repeating it is safe.

        :param contents: the module's decoded contents, a file of mode 0600 that lives as long as the module.
        :returns: a sentence for the user.
        :raises GuestAgentError: it cannot be applied; the sentence is shown to the user.
        """

    @abc.abstractmethod
    def remove(self, module: Module, contents: Path) -> None:
        """Undo the module.

        :raises GuestAgentError: it cannot be removed.
        """
