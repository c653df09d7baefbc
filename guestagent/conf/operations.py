"""``[operations]``: how changes are carried out and remembered."""

from oslo_config import cfg

GROUP = "operations"

OPTIONS: list[cfg.Opt] = [
    cfg.BoolOpt(
        "convergence_engine",
        default=False,
        help="Write the steps of changes down ahead, so that an agent that comes after a crash goes on with them. "
        "Decides for instances that are prepared from now on; on the others 'guestagentctl convert-engine' does.",
    ),
    cfg.IntOpt("keep", default=100, min=1, help="How many operations that have ended are kept to be looked at."),
]
