"""The superuser that the owner of an instance may ask for: what is the same for every database."""

import abc

from guestagent.capabilities.volume import DataVolume
from guestagent.contract.context import RequestContext
from guestagent.contract.users import ANYWHERE, User
from guestagent.operations.plan import Plan, Step


class RootUser(DataVolume, abc.ABC):
    """Supports the capability *root*."""

    @property
    @abc.abstractmethod
    def root_name(self) -> str:
        """The user's name."""

    @abc.abstractmethod
    def root_step(self, password: str) -> Step:
        """The user can log in with the password, from anywhere, and may do everything.

        :raises InvalidValue: the password cannot be one.
        """

    @abc.abstractmethod
    def lock_root(self) -> None:
        """Make logins of the user impossible; repeating it is safe."""

    def enable_root(self, context: RequestContext) -> User:
        return self.enable_root_with_password(context)

    def enable_root_with_password(self, context: RequestContext, root_password: str | None = None) -> User:
        from guestagent.system.passwords import generated

        self.require_room()
        password = root_password or generated()
        self.guest.carry_out(Plan("enable root", [self.root_step(password)]))
        return User(self.root_name, ANYWHERE, password=password, is_root=True)

    def disable_root(self, context: RequestContext) -> None:
        self.guest.carry_out(Plan("disable root", [Step("lock root out", self.lock_root)]))
