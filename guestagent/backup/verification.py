"""Reading a stored backup through, without restoring it."""

from guestagent.backup import reader
from guestagent.backup.catalog import Catalog
from guestagent.backup.manifest import Manifest
from guestagent.backup.progress import Progress
from guestagent.backup.settings import Settings


def read_through(found: Manifest, catalog: Catalog, settings: Settings, progress: Progress) -> int:
    """See that a backup's stream comes out of its store as the strategy had given it.

    Of what it builds on nothing is read.

    :returns: the bytes of the stream.
    :raises GuestAgentError: it does not; see :func:`guestagent.backup.reader.read`.
    """
    return sum(map(len, reader.read(found, catalog.storage, catalog.context, catalog.container, settings, progress)))
