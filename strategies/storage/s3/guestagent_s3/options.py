"""``[s3]``: the options of the store."""

from typing import Final

from oslo_config import cfg

GROUP: Final = "s3"
SMALLEST_PART: Final = 5
"""MiB: S3 takes no smaller one, but as the last."""

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "endpoint_url", help="Where the store is, for example https://store.example:9000; none: Amazon's of the region."
    ),
    cfg.StrOpt("region", default="us-east-1", help="The region that requests are signed for."),
    cfg.StrOpt("bucket", help="The bucket that has everything; it must be there, the agent makes none."),
    cfg.StrOpt("prefix", default="", help="What the names of all objects begin with, for example guests/."),
    cfg.StrOpt(
        "credentials_file",
        default="/etc/guestagent/s3-credentials",
        help="A file of mode 0600 with a section [default] that sets aws_access_key_id, aws_secret_access_key and, "
        "for credentials that expire, aws_session_token. It is read again for every request.",
    ),
    cfg.StrOpt(
        "addressing_style",
        default="path",
        choices=[("path", "https://store/bucket/name"), ("virtual", "https://bucket.store/name")],
        help="How a request names the bucket.",
    ),
    cfg.StrOpt("ca_file", help="Who may vouch for the store, as PEM; none: whom the machine trusts."),
    cfg.IntOpt(
        "connect_timeout", default=10, min=1, help="Seconds until a store that takes no connection is given up."
    ),
    cfg.IntOpt("timeout", default=60, min=1, help="Seconds of silence until the store is given up."),
    cfg.IntOpt(
        "part_size",
        default=8,
        min=SMALLEST_PART,
        max=5120,
        help="MiB: what is longer is sent in parts of this size, of which one at a time is in memory. "
        "An object can have 10,000 parts.",
    ),
    cfg.IntOpt(
        "attempts",
        default=4,
        min=1,
        help="How often a request is sent while the store is not reached or asks for patience.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options; repeating it is safe."""
    conf.register_opts(OPTIONS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options for ``oslo-config-generator``."""
    return [(GROUP, OPTIONS)]
