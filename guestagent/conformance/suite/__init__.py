"""All tests, to be imported into an author's file with ``from guestagent.conformance.suite import *``.

The file is a module of tests of its own then; it names the datastore with ``DATASTORE``.
"""

import pkgutil

import pytest

# Before they are imported: an assertion that fails then tells its values, as in any file of tests.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))

from guestagent.conformance.suite.backups import TestArchive, TestBackups  # noqa: E402
from guestagent.conformance.suite.claims import TestClaims, TestUnclaimed  # noqa: E402
from guestagent.conformance.suite.configuration import TestConfiguration, TestFlavour  # noqa: E402
from guestagent.conformance.suite.crash import TestCrash  # noqa: E402
from guestagent.conformance.suite.databases import TestDatabases  # noqa: E402
from guestagent.conformance.suite.full_disk import TestFullState, TestFullVolume  # noqa: E402
from guestagent.conformance.suite.hostile import TestHostileArguments, TestHostileNames, TestWrongKey  # noqa: E402
from guestagent.conformance.suite.lifecycle import (  # noqa: E402
    TestDeaths,
    TestDown,
    TestPrepare,
    TestReadOnly,
    TestStartsAndStops,
)
from guestagent.conformance.suite.logs import TestLogs  # noqa: E402
from guestagent.conformance.suite.modules import TestModules  # noqa: E402
from guestagent.conformance.suite.power_cut import TestPowerCut  # noqa: E402
from guestagent.conformance.suite.rebuild import TestRebuild  # noqa: E402
from guestagent.conformance.suite.repetition import TestRepetition  # noqa: E402
from guestagent.conformance.suite.root import TestRoot  # noqa: E402
from guestagent.conformance.suite.server_deaths import TestServerDies  # noqa: E402
from guestagent.conformance.suite.tls import TestTls  # noqa: E402
from guestagent.conformance.suite.upgrades import TestNextVersion, TestUpgrade  # noqa: E402
from guestagent.conformance.suite.users import TestUsers  # noqa: E402
from guestagent.conformance.suite.volumes import TestDataDisk, TestVolume  # noqa: E402

pytest_plugins = ("guestagent.conformance.plugin",)

__all__ = [
    "TestArchive",
    "TestBackups",
    "TestClaims",
    "TestConfiguration",
    "TestCrash",
    "TestDataDisk",
    "TestDatabases",
    "TestDeaths",
    "TestDown",
    "TestFlavour",
    "TestFullState",
    "TestFullVolume",
    "TestHostileArguments",
    "TestHostileNames",
    "TestLogs",
    "TestModules",
    "TestNextVersion",
    "TestPowerCut",
    "TestPrepare",
    "TestReadOnly",
    "TestRebuild",
    "TestRepetition",
    "TestRoot",
    "TestServerDies",
    "TestStartsAndStops",
    "TestTls",
    "TestUnclaimed",
    "TestUpgrade",
    "TestUsers",
    "TestVolume",
    "TestWrongKey",
    "pytest_plugins",
]
