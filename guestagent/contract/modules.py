"""Modules: small files that the control plane lets a driver on the guest apply."""

import msgspec

from guestagent.contract.call import Capability, call
from guestagent.contract.context import RequestContext


class Module(msgspec.Struct):
    """A module as Trove describes it; keys that are not here are ignored.

    ``contents`` is base64; ``md5`` is Trove's digest of it and only echoed; ``type`` names the driver.
    """

    id: str
    name: str
    type: str
    contents: str | None = None
    md5: str | None = None
    tenant: str | None = None
    datastore: str | None = None
    datastore_version: str | None = None
    auto_apply: bool = False
    visible: bool = True
    is_admin: bool | None = None
    priority_apply: bool = False
    apply_order: int = 5


class ModuleEnvelope(msgspec.Struct):
    """How a module is wrapped on the wire: ``{"module": {…}}``."""

    module: Module


class ModuleResult(msgspec.Struct):
    """What came of a module; ``status`` is ``OK`` or ``ERROR``, times are ``YYYY-MM-DD HH:MM:SS.ff``."""

    id: str
    name: str
    type: str
    datastore: str
    datastore_version: str
    tenant: str
    md5: str | None
    status: str
    message: str | None
    created: str
    updated: str
    removed: str | None
    auto_apply: bool
    visible: bool
    is_admin: bool
    contents: str | None = None


class Modules(Capability):
    """Apply, list and remove modules."""

    @call(reads=True, required=True, needs_instance=False)
    def module_list(self, context: RequestContext, include_contents: bool = False) -> list[ModuleResult]:
        """The modules that are applied and that the requester may see, newest first."""

    @call(repeatable=True, required=True)
    def module_apply(self, context: RequestContext, modules: list[ModuleEnvelope]) -> list[ModuleResult]:
        """Apply the modules by priority and order; one that fails is reported in its result.

        :raises NotFound: the image has no driver of a module's type; none was applied.
        :raises InvalidValue: a module is for another datastore or has no contents; none was applied.
        """

    @call(required=True)
    def module_remove(self, context: RequestContext, module: ModuleEnvelope) -> None:
        """Let the driver undo the module and forget it.

        :raises NotFound: the module is not applied, as when the call is repeated.
        """
