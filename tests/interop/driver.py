"""The control plane as far as a guest meets it: Trove itself, told what to do line by line.

Runs in an environment that has Trove and nothing of this project, with a configuration file of
Trove's on the command line. Reads ``{"do": name, "with": {...}}`` from standard input, one JSON object
a line, and answers each with ``{"result": ...}`` or ``{"error": {"class": ..., "text": ...}}``.
It starts as Trove's own services start, with their database and their broker.
"""

import functools
import inspect
import json
import sys
from typing import Any

import webob
from eventlet import tpool
from oslo_serialization import jsonutils
from trove.backup import models as backups
from trove.backup import state
from trove.cmd.common import initialize
from trove.common import api as rest_api
from trove.common import cfg, constants, exception, extensions, notification, wsgi
from trove.common.context import TroveContext
from trove.common.db.mysql.models import MySQLSchema, MySQLUser
from trove.datastore import models as datastores
from trove.guestagent.api import API
from trove.instance import models as instances
from trove.instance.service_status import ServiceStatuses
from trove.instance.tasks import InstanceTasks

TENANT = "tenant-a"
USER = "user-a"
CLIENT = "192.0.2.1"
VERSION = "10.11"


def create_instance(manager: str, encrypted: bool) -> str:
    """An instance that waits for its guest, as the database has it when the machine has booted; its id."""
    cfg.CONF.set_override("enable_secure_rpc_messaging", encrypted)
    datastores.update_datastore(manager, None)
    datastores.update_datastore_version(manager, VERSION, manager, "", "", "", True, **_told_by_operator(manager))
    version = datastores.DBDatastoreVersion.find_by(name=VERSION, manager=manager)
    instance = instances.DBInstance.create(
        name="a database",
        flavor_id="1",
        volume_size=1,
        tenant_id=TENANT,
        compute_instance_id="a machine",
        datastore_version_id=version.id,
        task_status=InstanceTasks.NONE,
    )
    instances.InstanceServiceStatus.create(instance_id=instance.id, status=ServiceStatuses.NEW)
    return str(instance.id)


def create_backup(instance_id: str) -> str:
    """What the API writes down of a full backup before it asks for it; its id."""
    instance = instances.DBInstance.find_by(id=instance_id)
    backup = backups.DBBackup.create(
        name="a backup",
        description="",
        tenant_id=TENANT,
        state=state.BackupState.NEW,
        instance_id=instance_id,
        parent_id=None,
        datastore_version_id=instance.datastore_version_id,
        deleted=False,
        storage_driver="local",
    )
    return str(backup.id)


def _told_by_operator(manager: str) -> dict[str, str]:
    """What is said of a datastore that Trove has no defaults for; an image that declares its plugin does without."""
    if manager in constants.REGISTRY_EXT_DEFAULTS:
        return {}
    return {"registry_ext": f"{manager}:not.of.trove.Manager", "repl_strategy": "not.of.trove.Replication"}


def injected_files(instance_id: str) -> dict[str, str]:
    """What Trove puts into the machine of an instance, by path."""
    instance = instances.FreshInstance.load(_context(), instance_id)
    files: dict[str, str] = instance.get_injected_files(instance.ds_version.manager, instance.ds_version.version)
    return files


def call(instance_id: str, method: str, arguments: dict[str, Any], level: str, notify: str | None) -> Any:
    """Call a method of Trove's client for a guest.

    :param level: of ``[upgrade_levels] guestagent``.
    :param notify: the class of the notification that the request ends with, as the API makes it.
    """
    cfg.CONF.set_override("guestagent", level, group="upgrade_levels")
    context = _context()
    if notify is not None:
        request = webob.Request.blank("/", remote_addr=CLIENT)
        context.notification = getattr(notification, notify)(context, request=request, instance_id=instance_id)
    return getattr(API(context, instance_id), method)(**arguments)


def public_methods() -> list[str]:
    """What Trove's client for a guest offers."""
    return [name for name, _ in inspect.getmembers(API, inspect.isfunction) if not name.startswith("_")]


def verified(kind: str, value: dict[str, Any]) -> dict[str, Any]:
    """A ``user`` or ``database`` from a guest, after Trove's own check of it."""
    model = {"user": MySQLUser, "database": MySQLSchema}[kind]
    found: dict[str, Any] = model.deserialize(value).serialize()
    return found


def rest(method: str, path: str, body: Any, level: str) -> dict[str, Any]:
    """What the REST API answers: ``status`` and ``body``.

    :param path: within the tenant.
    """
    cfg.CONF.set_override("guestagent", level, group="upgrade_levels")
    request = webob.Request.blank(
        f"/{TENANT}{path}",
        method=method,
        headers={"X-Auth-Token": "-", "X-Tenant-Id": TENANT, "X-User-ID": USER, "X-Role": "admin"},
        remote_addr=CLIENT,
    )
    if body is not None:
        request.content_type = "application/json"
        request.json = body
    response = request.get_response(_rest_application())
    return {"status": response.status_int, "body": response.json if response.body else None}


def begin_restart(instance_id: str) -> None:
    """What the API does to the status of an instance whose user asks for a restart."""
    instances.load_any_instance(_context(), instance_id).set_servicestatus_restart()


COMMANDS = {
    command.__name__: command
    for command in (create_instance, create_backup, injected_files, call, public_methods, verified, rest, begin_restart)
}


def _context() -> TroveContext:
    return TroveContext(user_id=USER, project_id=TENANT, is_admin=True)


@functools.cache
def _rest_application() -> Any:
    """As Trove's own paste file builds it, without Keystone and without limits."""
    return wsgi.FaultWrapper(wsgi.ContextMiddleware(extensions.factory({})(rest_api.API())))


def _answer(line: str) -> dict[str, Any]:
    asked = json.loads(line)
    try:
        return {"result": COMMANDS[asked["do"]](**asked["with"])}
    except exception.TroveError as error:
        return {"error": {"class": type(error).__name__, "text": str(error)}}


def main() -> None:
    initialize()
    # In a thread of the system's, so that Trove's own green threads run on while nothing is asked.
    while line := tpool.execute(sys.stdin.readline):
        print(jsonutils.dumps(_answer(line)), flush=True)


if __name__ == "__main__":
    main()
