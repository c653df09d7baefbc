"""Names of containers and objects: which ones there can be, how a path has them, and what a location says."""

from urllib.parse import quote

from guestagent.contract.errors import InvalidValue
from guestagent.storage.base import UnsafeName

LONGEST_CONTAINER = 256
LONGEST_OBJECT = 1024
"""Bytes of UTF-8; Swift's own limits."""


def container_path(container: str) -> str:
    """The container in the path of a URL.

    :raises InvalidValue: no container can have this name.
    """
    subject = f"The container name {container!r}"
    if "/" in container:
        raise UnsafeName(subject=subject, problem="it must name one container")
    return "/" + quote(_checked(container, subject, LONGEST_CONTAINER), safe="")


def object_path(container: str, name: str) -> str:
    """The object in the path of a URL.

    :raises InvalidValue: no object can have this name.
    """
    path = container_path(container)
    return f"{path}/{quote(_checked(name, f'The object name {name!r}', LONGEST_OBJECT))}"


def location_of(url: str, container: str, name: str) -> str:
    """Where an object is, in the words of Trove, whose API takes the last two parts of it as names and quotes them."""
    return f"{url}/{container}/{name}"


def located(url: str, location: str) -> tuple[str, str]:
    """The container and the name behind a location.

    :param url: of the account that it must be in.
    :raises InvalidValue: it is not in there.
    """
    subject = f"The location {location!r}"
    if not location.startswith(f"{url}/"):
        raise InvalidValue(subject=subject, problem=f"it does not begin with {url}/")
    container, _, name = location.removeprefix(f"{url}/").partition("/")
    object_path(container, name)
    return container, name


def _checked(name: str, subject: str, longest: int) -> str:
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidValue(subject=subject, problem="it cannot be written as UTF-8") from None
    # Swift takes dots as they are; what stands before it may resolve them, and be elsewhere then.
    if not name or name.startswith("/") or any(part in (".", "..") for part in name.split("/")):
        raise UnsafeName(subject=subject, problem="it would leave its container")
    if "\0" in name:
        raise InvalidValue(subject=subject, problem="it holds a null byte")
    if length > longest:
        raise InvalidValue(subject=subject, problem=f"it is longer than {longest} bytes")
    return name
