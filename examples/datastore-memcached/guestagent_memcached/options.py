"""``[memcached]``: the options of the guest's side."""

from oslo_config import cfg

GROUP = "memcached"

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt("program", default="/usr/bin/memcached", help="The server."),
    cfg.StrOpt("account", default="memcache", help="The account that the server runs as; empty: the agent's own."),
    cfg.StrOpt("address", default="0.0.0.0", help="The address on which the server listens."),
    cfg.PortOpt("port", default=11211, help="Where clients reach the server."),
    cfg.StrOpt("directory", default="/var/lib/guestagent-memcached", help="Where its settings and its log are."),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options; repeating it is safe."""
    conf.register_opts(OPTIONS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options for ``oslo-config-generator``."""
    return [(GROUP, OPTIONS)]
