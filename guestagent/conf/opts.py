"""The runtime's options as ``oslo-config-generator`` asks for them.

No default of a library is changed, ``control_exchange`` included: an operator who sets it nowhere has
oslo.messaging's on both sides, because Trove's own processes keep that default too, and one who sets
it for the control plane sets it in the guest's injected file.
"""

from oslo_config import cfg

from guestagent.conf import agent, image, instance


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """All options of the runtime, by group."""
    return [
        ("DEFAULT", instance.OPTIONS),
        (image.GROUP, image.OPTIONS),
        (agent.GROUP, agent.OPTIONS),
    ]
