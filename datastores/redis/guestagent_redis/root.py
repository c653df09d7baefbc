"""The superuser that the owner of the instance may ask for: the server's user for a password without a name."""

from guestagent.capabilities.root import RootUser
from guestagent.contract.context import RequestContext
from guestagent.operations.plan import Step
from guestagent_redis.acl import DEFAULT, EVERYTHING, digest
from guestagent_redis.users import RedisUsers


class RedisRoot(RootUser, RedisUsers):
    """Supports the capability *root*. Disabling locks the user, and ends its connections."""

    root_name = DEFAULT

    def root_step(self, password: str) -> Step:
        kept = digest(password, "root")
        return Step(
            "let root in",
            lambda: self._set_user("Enabling root", DEFAULT, "reset", "on", f"#{kept}", *EVERYTHING),
            keep=lambda: self._rules()[DEFAULT],
            undo=lambda before: self._set_user("Putting root back", DEFAULT, "reset", *before),
        )

    def is_root_enabled(self, context: RequestContext) -> bool:
        return "on" in self._rules()[DEFAULT]

    def lock_root(self) -> None:
        self._set_user("Disabling root", DEFAULT, "reset", "off")
        self.client.ask("Ending the connections of root", "CLIENT", "KILL", "USER", DEFAULT)
