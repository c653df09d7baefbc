"""What is true of every datastore's package."""

import inspect
import subprocess
import sys

from guestagent import contract
from guestagent.manager import BaseDatastoreManager


def imported_by(statement: str) -> set[str]:
    """The modules that an interpreter has after the statement."""
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def missing_calls(manager: type[BaseDatastoreManager], but: str) -> set[str]:
    """The calls that a manager does not support, without those of a capability; ``make_read_only`` is of none."""
    missing = {call.name for call in contract.CALLS if not call.supported_by(manager)}
    theirs = {call.name for call in contract.CALLS if call.capability == but} - {"make_read_only"}
    assert theirs <= missing
    return missing - theirs


def assert_halves_share_no_name(manager: type[BaseDatastoreManager]) -> None:
    """A private name in two classes of which neither knows the other would make one of them call the other's."""
    halves = [half for half in manager.__mro__ if half not in (object, *BaseDatastoreManager.__mro__)]
    for number, half in enumerate(halves):
        for other in halves[number + 1 :]:
            if issubclass(half, other):
                continue
            both = {name for name in vars(half).keys() & vars(other).keys() if not name.startswith("__")}
            # What the base class has, they share on purpose, and what the one asks for and the other has.
            both = {name for name in both if not getattr(vars(other)[name], "__isabstractmethod__", False)}
            assert not both - {"_abc_impl"} - vars(BaseDatastoreManager).keys(), (half, other)


def assert_halves_pass_on(manager: type[BaseDatastoreManager]) -> None:
    """What they share on purpose, each of them does with all others."""
    for half in manager.__mro__[:-1]:
        for name in ("tidy", "supports"):
            if name in vars(half) and half is not BaseDatastoreManager:
                assert f"super().{name}(" in inspect.getsource(vars(half)[name]), (half, name)
