"""The control plane as far as a guest meets it: Trove itself, told what to do line by line.

Runs in an environment that has Trove and nothing of this project, with a configuration file of
Trove's on the command line. Reads ``{"do": name, "with": {...}}`` from standard input, one JSON object
a line, and answers each with ``{"result": ...}`` or ``{"error": {"class": ..., "text": ...}}``.
It starts as Trove's own services start, with their database and their broker.
"""

import inspect
import json
import sys
from typing import Any

import webob
from eventlet import tpool
from trove.cmd.common import initialize
from trove.common import cfg, exception, notification
from trove.common.context import TroveContext
from trove.guestagent.api import API

TENANT = "tenant-a"
USER = "user-a"
VERSION = "10.11"


def create_instance(manager: str, encrypted: bool) -> dict[str, Any]:
    """An instance that waits for its guest, as the database has it before the task manager goes on."""
    from trove.datastore import models as datastores
    from trove.instance.models import DBInstance, InstanceServiceStatus, get_instance_encryption_key
    from trove.instance.service_status import ServiceStatuses
    from trove.instance.tasks import InstanceTasks

    cfg.CONF.set_override("enable_secure_rpc_messaging", encrypted)
    datastores.update_datastore(manager, None)
    datastores.update_datastore_version(manager, VERSION, manager, "", "", "", True)
    version = datastores.DBDatastoreVersion.find_by(name=VERSION, manager=manager)
    instance = DBInstance.create(
        name="a database",
        flavor_id="1",
        volume_size=1,
        tenant_id=TENANT,
        datastore_version_id=version.id,
        task_status=InstanceTasks.NONE,
    )
    InstanceServiceStatus.create(instance_id=instance.id, status=ServiceStatuses.NEW)
    return {"id": instance.id, "key": get_instance_encryption_key(instance.id)}


def call(instance_id: str, method: str, arguments: dict[str, Any], level: str, notify: str | None) -> Any:
    """Call a method of Trove's client for a guest.

    :param level: of ``[upgrade_levels] guestagent``.
    :param notify: the class of the notification that the request ends with, as the API makes it.
    """
    cfg.CONF.set_override("guestagent", level, group="upgrade_levels")
    context = TroveContext(user_id=USER, project_id=TENANT, is_admin=True)
    if notify is not None:
        request = webob.Request.blank("/")
        request.remote_addr = "192.0.2.1"
        context.notification = getattr(notification, notify)(context, request=request)
    return getattr(API(context, instance_id), method)(**arguments)


def public_methods() -> list[str]:
    """What Trove's client for a guest offers."""
    return [name for name, _ in inspect.getmembers(API, inspect.isfunction) if not name.startswith("_")]


COMMANDS = {command.__name__: command for command in (create_instance, call, public_methods)}


def answer(line: str) -> dict[str, Any]:
    """Do what a line says."""
    asked = json.loads(line)
    try:
        return {"result": COMMANDS[asked["do"]](**asked["with"])}
    except exception.TroveError as error:
        return {"error": {"class": type(error).__name__, "text": str(error)}}


def main() -> None:
    initialize()
    # In a thread of the system's, so that Trove's own green threads run on while nothing is asked.
    while line := tpool.execute(sys.stdin.readline):
        print(json.dumps(answer(line)), flush=True)


if __name__ == "__main__":
    main()
