"""The administrator that the owner of the instance may ask for."""

from guestagent.contract.call import Capability, call
from guestagent.contract.context import RequestContext
from guestagent.contract.users import User


class Root(Capability):
    """Enable and disable the database's own superuser for logins from anywhere."""

    @call(required=True)
    def enable_root(self, context: RequestContext) -> User:
        """Enable root with a generated password, new at every call.

        :returns: the user with its password.
        """

    @call(repeatable=True, required=True)
    def enable_root_with_password(self, context: RequestContext, root_password: str | None = None) -> User:
        """Enable root with the given password, or a generated one when there is none.

        :returns: the user with its password.
        """

    @call(repeatable=True, required=True)
    def disable_root(self, context: RequestContext) -> None:
        """Make logins as root from outside impossible."""

    @call(reads=True)
    def is_root_enabled(self, context: RequestContext) -> bool:
        """Whether root can log in from outside now."""

    @call(reads=True)
    def get_root_password(self, context: RequestContext) -> str:
        """The root password, for datastores that can tell it."""
