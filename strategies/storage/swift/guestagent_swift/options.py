"""``[swift]``: how the store is reached. Where it is, the control plane says with most requests."""

from oslo_config import cfg

GROUP = "swift"

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "url",
        help="The account, as https://host/v1/AUTH_project, for requests that name none: those for logs do not.",
    ),
    cfg.StrOpt("ca_file", help="Who may vouch for the store's certificate; none: whom the machine trusts."),
    cfg.BoolOpt(
        "insecure",
        default=False,
        help="Take any certificate. Whoever can put himself in between then has the data and the token.",
    ),
    cfg.IntOpt(
        "connect_timeout", default=10, min=1, help="Seconds until a store that takes no connection is given up."
    ),
    cfg.IntOpt(
        "timeout",
        default=60,
        min=1,
        help="Seconds of silence until a store is given up; Swift may be silent for 10 while it joins.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options; repeating it is safe."""
    conf.register_opts(OPTIONS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options for ``oslo-config-generator``."""
    return [(GROUP, OPTIONS)]
