"""The superuser that the owner of the instance may ask for: the server's user for a password without a name."""

from guestagent.contract.context import RequestContext
from guestagent.contract.users import User
from guestagent.operations.plan import Plan, Step
from guestagent_redis.acl import DEFAULT, EVERYTHING, digest
from guestagent_redis.users import ANYWHERE, RedisUsers


class RedisRoot(RedisUsers):
    """Supports the capability *root*. Disabling locks the user, and ends its connections."""

    def enable_root(self, context: RequestContext) -> User:
        return self.enable_root_with_password(context)

    def enable_root_with_password(self, context: RequestContext, root_password: str | None = None) -> User:
        from guestagent.system.passwords import generated

        self.require_room()
        password = root_password or generated()
        kept = digest(password, "root")
        step = Step(
            "let root in",
            lambda: self._set_user("Enabling root", DEFAULT, "reset", "on", f"#{kept}", *EVERYTHING),
            keep=lambda: self._rules()[DEFAULT],
            undo=lambda before: self._set_user("Putting root back", DEFAULT, "reset", *before),
        )
        self.guest.carry_out(Plan("enable root", [step]))
        return User(DEFAULT, ANYWHERE, password=password, is_root=True)

    def disable_root(self, context: RequestContext) -> None:
        self.guest.carry_out(Plan("disable root", [Step("lock root out", self._lock_root)]))

    def is_root_enabled(self, context: RequestContext) -> bool:
        return "on" in self._rules()[DEFAULT]

    def _lock_root(self) -> None:
        self._set_user("Disabling root", DEFAULT, "reset", "off")
        self.client.ask("Ending the connections of root", "CLIENT", "KILL", "USER", DEFAULT)
