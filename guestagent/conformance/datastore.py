"""What a plugin author tells the kit of a datastore."""

import abc
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

Options = dict[str, dict[str, object]]
"""The options of an agent, by group and name."""


@dataclasses.dataclass(frozen=True)
class Account:
    """Who uses the server.

    :ivar database: where; none: nowhere in particular, or the server has no databases.
    """

    name: str
    password: str
    database: str | None = None


@dataclasses.dataclass(frozen=True)
class Setting:
    """A setting of the user's configuration.

    :ivar value: as the control plane sends it.
    :ivar seen: what :meth:`Datastore.setting` finds when it is in force; none: the value itself.
    """

    name: str
    value: Any
    seen: Any = None

    @property
    def in_force(self) -> Any:
        """What :meth:`Datastore.setting` finds when it is in force."""
        return self.value if self.seen is None else self.seen

    @property
    def overrides(self) -> dict[str, Any]:
        """As it travels."""
        return {self.name: self.value}


class Datastore(abc.ABC):
    """One datastore on one machine; derive from it, and fill in what the plugin supports.

    The kit makes an instance for each guest. What is not filled in and belongs to a call that the plugin supports
    makes a test fail that says so, unless :attr:`untried` has the reason.

    :param directory: empty; the server's account can reach it. Everything of the server belongs there.

    :cvar name: what an image declares.
    :cvar programs: what has to be in the ``PATH``, or at its place.
    :cvar version: of the datastore, as the control plane names it.
    :cvar config_contents: the base configuration that comes with a flavour.
    :cvar keeps_data: what is written is there after a restart of the server.
    :cvar backup_strategy: the strategy that an image with the datastore declares.
    :cvar archive_strategy: the archive strategy of such an image.
    :cvar incremental: its backups can build on each other, with this version of the server.
    :cvar next_version: one that the image holds beside :attr:`version`, and that an upgrade moves the data to.
    :cvar live: a setting that the running server takes.
    :cvar restart: a setting that waits for a restart.
    :cvar refused: settings that the server refuses.
    :cvar refused_live: one that its program takes, and that the running server refuses.
    :cvar unstartable: a base configuration that its program takes, and that the server does not start with.
    :cvar switched_log: a log that can be switched on and off.
    :cvar touching: the functions of the plugin that ask the server, by their modules: agents are killed behind them.
    :cvar configured: files that say how the server is configured, as patterns below the directory.
    :cvar unfinished: files that are there only while somebody works on something, likewise.
    :cvar untried: why something of what is here cannot be filled in, by its name.
    """

    name: ClassVar[str]
    programs: ClassVar[Sequence[str]] = ()
    version: ClassVar[str] = "1.0"
    config_contents: ClassVar[str | None] = None
    keeps_data: ClassVar[bool] = True
    backup_strategy: ClassVar[str | None] = None
    archive_strategy: ClassVar[str | None] = None
    incremental: ClassVar[bool] = False
    next_version: ClassVar[str | None] = None
    live: ClassVar[Setting | None] = None
    restart: ClassVar[Setting | None] = None
    refused: ClassVar[Sequence[Setting]] = ()
    refused_live: ClassVar[Setting | None] = None
    unstartable: ClassVar[str | None] = None
    switched_log: ClassVar[str | None] = None
    touching: ClassVar[Mapping[str, Collection[str]]] = {}
    configured: ClassVar[Sequence[str]] = ()
    unfinished: ClassVar[Sequence[str]] = ()
    untried: ClassVar[Mapping[str, str]] = {}

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @abc.abstractmethod
    def options(self) -> Options:
        """Options of the plugin that keep the server in the directory, on a port of its own; asked once."""

    def enters(self, account: Account) -> bool:
        """Whether the server lets the account in; anything but a refusal is raised."""
        raise NotImplementedError

    def write(self, account: Account, key: str, value: str) -> None:
        """Let the account write something."""
        raise NotImplementedError

    def may_write(self, account: Account) -> bool:
        """Whether the server takes writes of the account now; anything but a refusal is raised."""
        raise NotImplementedError

    def read(self, account: Account, key: str) -> str | None:
        """What the account has written; none: nothing."""
        raise NotImplementedError

    def setting(self, account: Account, name: str) -> Any:
        """The value of a setting that is in force now."""
        raise NotImplementedError

    def certificate(self, account: Account) -> bytes | None:
        """What the server shows the account that asks for TLS, as DER; none: it does not speak TLS."""
        raise NotImplementedError

    def lose_root_disk(self) -> None:
        """Remove what is not on the data volume, as when the machine is made anew; nothing runs."""
        raise NotImplementedError


NEEDED: Mapping[str, Sequence[str]] = {
    "enters": ("create_user", "enable_root"),
    "write": ("prepare",),
    "read": ("prepare",),
    "may_write": ("make_read_only",),
    "setting": ("update_overrides", "apply_overrides"),
    "live": ("apply_overrides",),
    "restart": ("update_overrides",),
    "refused": ("update_overrides",),
    "certificate": ("ssl_action",),
    "lose_root_disk": ("rebuild",),
    "backup_strategy": ("create_backup",),
}
"""The calls for whose tests a part of the description is needed."""


def is_given(datastore: type[Datastore], part: str) -> bool:
    """Whether a part of the description is filled in."""
    return getattr(datastore, part) is not getattr(Datastore, part)
