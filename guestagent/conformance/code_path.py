"""On which code path the tests run: ``TEST_ENGINE=convergence`` in the environment, otherwise ``legacy``."""

import os

from guestagent.contract.operations import CodePath

PATH = CodePath(os.environ.get("TEST_ENGINE") or CodePath.LEGACY.value)


def options() -> dict[str, dict[str, object]]:
    """What an agent of the tests is configured with; the caller's own to change."""
    return {"operations": {"convergence_engine": PATH is CodePath.CONVERGENCE}}
