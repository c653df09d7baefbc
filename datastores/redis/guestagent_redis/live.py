"""Settings that the running server takes without a restart."""

import re
from collections.abc import Mapping

from guestagent.contract.errors import DatastoreError, InvalidValue
from guestagent_redis.client import Client
from guestagent_redis.directives import same

_FIXED = re.compile(r"argument '([^']+)'\) - can't set (?:immutable|protected) config")
_BLAMED = re.compile(r"argument '([^']+)'\) - (.+)|(Unknown option) .* - '([^']+)'")


class LiveSettings:
    """The settings of the running server.

    Which of them can change it says itself when it is told to change them, so that no list of ours can be out of date.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def apply(self, values: Mapping[str, str]) -> list[str]:
        """Change the settings; all of them that can change, or none.

        :returns: the names of those that wait for a restart, because the server has another value now.
        :raises InvalidValue: the server does not know one or refuses its value; nothing has changed.
        """
        wanted, fixed = dict(values), []
        while wanted:
            refused = self._client.refusal("CONFIG", "SET", *(word for pair in wanted.items() for word in pair))
            if refused is None:
                break
            found = _FIXED.search(refused.words)
            if found is None or found[1].lower() not in wanted:
                raise _meaning(refused.words)
            fixed.append(found[1].lower())
            del wanted[fixed[-1]]
        present = self._client.settings(*fixed) if fixed else {}
        return [name for name in fixed if not same(present.get(name, ""), values[name])]

    def values(self, names: Mapping[str, object]) -> dict[str, str]:
        """The values in force of those of the settings that the server knows."""
        found = self._client.settings(*names) if names else {}
        return {name: value for name, value in found.items() if name in names}

    def put_back(self, values: Mapping[str, str]) -> None:
        """Give settings values that they had; one that has its value is left alone.

        :raises DatastoreError: the server does not take one any more.
        """
        present = self.values(values)
        changed = {name: value for name, value in values.items() if present.get(name) != value}
        if changed:
            self._client.set("Putting settings back", changed)


def _meaning(words: str) -> InvalidValue | DatastoreError:
    if found := _BLAMED.search(words):
        name, problem = found[1] or found[4], found[2] or "this server has no setting of that name"
        return InvalidValue(subject=f"The setting '{name}'", problem=problem)
    return DatastoreError(subject="Changing settings", problem=words)
