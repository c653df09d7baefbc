"""The runtime's options as ``oslo-config-generator`` asks for them."""

from oslo_config import cfg

from guestagent.conf import agent, backup, image, instance, operations


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """All options of the runtime, by group."""
    return [
        ("DEFAULT", instance.OPTIONS),
        (image.GROUP, image.OPTIONS),
        (agent.GROUP, agent.OPTIONS),
        (operations.GROUP, operations.OPTIONS),
        (backup.GROUP, backup.OPTIONS),
    ]


def set_defaults() -> None:
    """Give the libraries' options the defaults that they have in the agent, so that a sample shows those.

    ``control_exchange`` keeps oslo.messaging's: Trove's own processes keep it too, so that an operator
    who sets it nowhere has the same on both sides, and one who sets it for the control plane sets it in
    the guest's injected file.
    """
    from guestagent.rpc import transport

    transport.set_rabbit_defaults()
