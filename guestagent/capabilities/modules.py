"""Modules: handed to their drivers, and remembered with what came of them."""

import base64
import binascii
import datetime
import functools
import re
import shutil
from pathlib import Path

import msgspec
from oslo_log import log

from guestagent.contract.context import RequestContext
from guestagent.contract.errors import GuestAgentError, InvalidValue, NotFound, SystemFailure
from guestagent.contract.modules import Module, ModuleEnvelope, ModuleResult
from guestagent.manager import BaseDatastoreManager
from guestagent.modules.driver import ModuleDriver
from guestagent.operations.plan import Plan, Step
from guestagent.system import files

LOG = log.getLogger(__name__)

ALL = "all"
"""Trove's word for a module that is for every tenant, datastore or version."""
CONTENTS = "contents.dat"
RESULT = "result.json"
DIRECTORY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
STAMP_LENGTH = len("2026-01-31 23:59:59.99")
"""On the wire; on disk a stamp has all six digits, so that modules of one request keep their order."""


class ModuleStore:
    """The applied modules, a directory ``<type>/<id>`` each with contents and result, mode 0600.

    A module is applied when its result is there.

    :param root: holds the directories.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def results(self) -> list[ModuleResult]:
        """What came of the modules, newest first."""
        results = [_decode(path) for path in self._root.glob(f"*/*/{RESULT}")]
        return sorted(filter(None, results), key=lambda result: result.updated, reverse=True)

    def result(self, module: Module) -> ModuleResult | None:
        """What came of a module; none: it is not applied."""
        return _decode(self._directory(module.type, module.id) / RESULT)

    def contents(self, module: Module | ModuleResult) -> Path:
        """The file of a module's contents.

        :raises InvalidValue: the type or id of the module cannot name a directory.
        """
        return self._directory(module.type, module.id) / CONTENTS

    def write_contents(self, module: Module, contents: bytes) -> Path:
        """Keep a module's contents, replacing those from before.

        :raises SystemFailure: the disk refuses.
        """
        return self._write(self.contents(module), contents)

    def write_result(self, result: ModuleResult) -> None:
        """Keep what came of a module; from then on it is applied.

        :raises SystemFailure: the disk refuses.
        """
        self._write(self._directory(result.type, result.id) / RESULT, msgspec.json.encode(result))

    def forget(self, module: Module) -> None:
        """Remove everything about a module; repeating it is safe."""
        directory = self._directory(module.type, module.id)
        # First, so that a crash never leaves a module that is applied and has no contents.
        (directory / RESULT).unlink(missing_ok=True)
        if directory.exists():
            shutil.rmtree(directory)

    def tidy(self) -> None:
        """Remove what a crash has left half-written."""
        for directory in self._root.glob("*/*"):
            files.sweep(directory)

    def _directory(self, *names: str) -> Path:
        for name in names:
            if not DIRECTORY_NAME.fullmatch(name):
                raise InvalidValue(subject=f"The module's type or id {name!r}", problem="it may hold A-Z a-z 0-9 _ . -")
        return self._root.joinpath(*names)

    def _write(self, path: Path, content: bytes) -> Path:
        try:
            for directory in (self._root, path.parent.parent, path.parent):
                files.ensure_directory(directory, mode=0o700)
            files.write(path, content, mode=0o600)
        except OSError as error:
            raise SystemFailure(subject=f"Writing {path}", problem=error.strerror) from error
        return path


class AppliedModules(BaseDatastoreManager):
    """Supports the capability *modules* with the drivers that the image declares."""

    @property
    def _store(self) -> ModuleStore:
        return ModuleStore(self.guest.state_dir / "modules")

    def tidy(self) -> None:
        super().tidy()
        self._store.tidy()

    def module_list(self, context: RequestContext, include_contents: bool = False) -> list[ModuleResult]:
        results = [result for result in self._store.results() if context.is_admin or result.visible]
        if include_contents:
            results = [self._with_contents(context, result) for result in results]
        return [_as_told(result) for result in results]

    def module_apply(self, context: RequestContext, modules: list[ModuleEnvelope]) -> list[ModuleResult]:
        ordered = sorted(
            (_completed(envelope.module) for envelope in modules),
            key=lambda module: (not module.priority_apply, module.apply_order),
        )
        checked = [(module, self._driver(module), self._check(module)) for module in ordered]
        steps = [
            Step(
                f"apply module {module.name!r} ({module.id})",
                functools.partial(self._apply, module, driver, contents),
                undo=functools.partial(self._sweep, module),
            )
            for module, driver, contents in checked
        ]
        self.guest.carry_out(Plan("apply modules", steps))
        results = [self._store.result(module) for module in ordered]
        return [_as_told(result) for result in results if result]

    def module_remove(self, context: RequestContext, module: ModuleEnvelope) -> None:
        unwanted = _completed(module.module)
        driver = self._driver(unwanted)

        def remove() -> None:
            if self._store.result(unwanted) is None:
                raise NotFound(subject=f"Module {unwanted.name!r}")
            driver.remove(unwanted, self._store.contents(unwanted))

        steps = [
            Step("let the driver undo it", remove, done=lambda: self._store.result(unwanted) is None),
            Step("forget it", lambda: self._store.forget(unwanted), undo=functools.partial(self._sweep, unwanted)),
        ]
        self.guest.carry_out(Plan("remove a module", steps))

    def _sweep(self, module: Module, kept: None) -> None:
        """Remove what is left of a module that is not applied."""
        if self._store.result(module) is None:
            self._store.forget(module)

    def _driver(self, module: Module) -> ModuleDriver:
        try:
            return self.guest.modules[module.type]
        except KeyError:
            raise NotFound(subject=f"A driver for modules of type {module.type!r}") from None

    def _check(self, module: Module) -> bytes:
        """The decoded contents of a module that can be applied here."""
        subject = f"Module {module.name!r}"
        self._store.contents(module)  # refuses a type or id that could lead elsewhere
        if not module.name:
            raise InvalidValue(subject="A module without a name", problem="its result could not be found again")
        if module.datastore not in (ALL, self.datastore_name):
            problem = f"it is for datastore {module.datastore!r}, and this guest's is {self.datastore_name!r}"
            raise InvalidValue(subject=subject, problem=problem)
        if not module.contents:
            raise InvalidValue(subject=subject, problem="it has no contents")
        try:
            return base64.b64decode("".join(module.contents.split()), validate=True)
        except (binascii.Error, ValueError):
            raise InvalidValue(subject=subject, problem="its contents are not base64") from None

    def _apply(self, module: Module, driver: ModuleDriver, contents: bytes) -> None:
        before = self._store.result(module)
        path = self._store.write_contents(module, contents)
        try:
            status, message = "OK", driver.apply(module, path)
        except GuestAgentError as error:
            LOG.error("Module %r (%s) cannot be applied: %s", module.name, module.id, error)
            status, message = "ERROR", str(error)
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        self._store.write_result(_result(module, status, message, before.created if before else now, now))

    def _with_contents(self, context: RequestContext, result: ModuleResult) -> ModuleResult:
        if result.is_admin and not context.is_admin:
            # As text of the contents' own form, because clients decode it and write it to a file.
            contents = f"Only an administrator may read the contents of module {result.name!r}.".encode()
        else:
            try:
                contents = self._store.contents(result).read_bytes()
            except FileNotFoundError:
                return result  # it was removed since the result was read
        return msgspec.structs.replace(result, contents=base64.b64encode(contents).decode())


def _completed(module: Module) -> Module:
    """The module with Trove's meaning of what was left out."""
    tenant = module.tenant or ALL
    is_admin = module.is_admin
    if is_admin is None:
        is_admin = tenant == ALL or module.auto_apply or not module.visible
    return msgspec.structs.replace(
        module,
        tenant=tenant,
        datastore=module.datastore or ALL,
        datastore_version=module.datastore_version or ALL,
        is_admin=is_admin,
    )


def _result(module: Module, status: str, message: str, created: str, updated: str) -> ModuleResult:
    return ModuleResult(
        id=module.id,
        name=module.name,
        type=module.type,
        datastore=module.datastore or ALL,
        datastore_version=module.datastore_version or ALL,
        tenant=module.tenant or ALL,
        md5=module.md5,
        status=status,
        message=message,
        created=created,
        updated=updated,
        removed=None,
        auto_apply=module.auto_apply,
        visible=module.visible,
        is_admin=bool(module.is_admin),
    )


def _as_told(result: ModuleResult) -> ModuleResult:
    """The result with its stamps as the control plane knows them."""
    return msgspec.structs.replace(result, created=result.created[:STAMP_LENGTH], updated=result.updated[:STAMP_LENGTH])


def _decode(path: Path) -> ModuleResult | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=ModuleResult)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise SystemFailure(
            subject=f"Reading {path}", problem=f"{error}; remove its directory and apply the module again"
        ) from error
