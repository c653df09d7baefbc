"""Users: create, change, list and drop. The server knows no hosts and no databases of users."""

from guestagent.capabilities import paging
from guestagent.contract.context import RequestContext
from guestagent.contract.errors import AlreadyExists, InvalidValue, NotFound
from guestagent.contract.users import ANYWHERE, PasswordChange, User, UserAttributes, is_anywhere
from guestagent.operations.plan import Plan, Step
from guestagent_redis.access import ServerAccess
from guestagent_redis.acl import DEFAULT, ORDINARY, check_name, digest, name_of, rules_of


class RedisUsers(ServerAccess):
    """Supports the capability *users*, but for grants: there is nothing to grant.

    A list is created in its order. The one that fails ends the call; those before it stay, and the control plane is
    told which one failed. What is changed is in the server's file of users before a step ends.
    """

    @property
    def hidden_users(self) -> frozenset[str]:
        """The users that are not the users'."""
        return frozenset({DEFAULT, self.administrator.name, *self.options.ignore_users})

    def create_user(self, context: RequestContext, users: list[User]) -> None:
        self.require_room()
        for number, user in enumerate(users, 1):
            self.guest.carry_out(Plan(f"create user {number}", [self._creation(user)]))

    def list_users(
        self,
        context: RequestContext,
        limit: int | None = None,
        marker: str | None = None,
        include_marker: bool = False,
    ) -> tuple[list[User], str | None]:
        # Clients make the marker of a name and a host.
        page = paging.asked(limit, (marker or "").removesuffix(f"@{ANYWHERE}"), include_marker)
        names = sorted(name for name in self._rules() if name not in self.hidden_users)
        after = [name for name in names if name > page.marker or (page.at_marker and name == page.marker)]
        return paging.cut([_as_user(name) for name in after[: page.rows]], page, lambda user: user.name)

    def get_user(self, context: RequestContext, username: str, hostname: str | None = None) -> User | None:
        return _as_user(username) if self._is_visible(username, hostname) else None

    def delete_user(self, context: RequestContext, user: User) -> None:
        def drop() -> None:
            self._require(user.name, user.host)
            self._change_users(f"Dropping user {user.name!r}", "DELUSER", user.name)

        step = Step("drop it", drop, done=lambda: not self._is_visible(user.name, user.host))
        self.guest.carry_out(Plan("drop a user", [step]))

    def change_passwords(self, context: RequestContext, users: list[PasswordChange]) -> None:
        self.require_room()
        digests = {user.name: digest(user.password, f"user {user.name!r}") for user in users}
        for user in users:
            self._require(user.name, user.host)

        def change() -> None:
            for name, kept in digests.items():
                self._set_user(f"Changing the password of user {name!r}", name, "resetpass", f"#{kept}")

        self.guest.carry_out(Plan("change passwords", [Step("change them", change)]))

    def update_attributes(
        self, context: RequestContext, username: str, hostname: str | None, user_attrs: UserAttributes
    ) -> None:
        self.require_room()
        _refuse_host(username, user_attrs.host)
        name = username if user_attrs.name is None else check_name(user_attrs.name, self.hidden_users)
        is_renamed = name != username
        changes = []
        if user_attrs.password is not None:
            changes = ["resetpass", f"#{digest(user_attrs.password, f'user {username!r}')}"]

        def require() -> None:
            self._require(username, hostname)
            if is_renamed and name in self._rules():
                raise AlreadyExists(subject=f"User {name!r}")

        def write() -> None:
            rules = self._rules()[username] if is_renamed else []
            self._set_user(f"Changing user {username!r}", name, *(["reset", *rules] if is_renamed else []), *changes)

        def drop() -> None:
            if is_renamed:
                self._change_users(f"Dropping user {username!r}", "DELUSER", username)

        def is_written() -> bool:
            return is_renamed and name in self._rules()

        steps = [
            Step(
                "write it down",
                write,
                require=require,
                done=is_written,
                keep=lambda: self._rules().get(name),
                undo=lambda before: self._put_back(name, before),
            ),
            Step(
                "drop its old name",
                drop,
                keep=lambda: self._rules().get(username) if is_renamed else None,
                undo=lambda before: self._put_back(username, before) if before else None,
            ),
        ]
        self.guest.carry_out(Plan("change a user", steps))

    def _creation(self, user: User) -> Step:
        name = check_name(user.name, self.hidden_users)
        _refuse_host(name, user.host)
        if user.databases:
            raise InvalidValue(subject=f"User {name!r}", problem="this server has no databases to grant")
        kept = digest(user.password, f"user {name!r}")

        def require() -> None:
            if name in self._rules():
                raise AlreadyExists(subject=f"User {name!r}")

        return Step(
            "create it",
            lambda: self._set_user(f"Creating user {name!r}", name, "reset", "on", f"#{kept}", *ORDINARY),
            require=require,
            done=lambda: name in self._rules(),
            keep=lambda: self._rules().get(name),
            undo=lambda before: self._put_back(name, before),
        )

    def _put_back(self, name: str, rules: list[str] | None) -> None:
        """A user as it was; repeating it is safe."""
        if rules is not None:
            self._set_user(f"Putting user {name!r} back", name, "reset", *rules)
        elif name in self._rules():
            self._change_users(f"Dropping user {name!r} again", "DELUSER", name)

    def _rules(self) -> dict[str, list[str]]:
        """The rules of every user, hidden or not, in the server's words."""
        lines = self.client.ask("Listing users", "ACL", "LIST")
        return {name_of(line): rules_of(line) for line in lines}

    def _set_user(self, subject: str, name: str, *rules: str) -> None:
        self._change_users(subject, "SETUSER", name, *rules)

    def _change_users(self, subject: str, *words: str) -> None:
        self.client.ask(subject, "ACL", *words)
        self.client.ask("Writing the file of users", "ACL", "SAVE")

    def _require(self, name: str, host: str | None) -> None:
        """See that there is such a user.

        :raises NotFound: there is none.
        """
        if not self._is_visible(name, host):
            raise NotFound(subject=f"User {name!r}")

    def _is_visible(self, name: str, host: str | None) -> bool:
        return is_anywhere(host) and name not in self.hidden_users and name in self._rules()


def _refuse_host(name: str, host: str | None) -> None:
    if not is_anywhere(host):
        problem = f"this server does not know hosts of users; leave it out, or say '{ANYWHERE}'"
        raise InvalidValue(subject=f"The host of user {name!r}", problem=problem)


def _as_user(name: str) -> User:
    return User(name, ANYWHERE)
