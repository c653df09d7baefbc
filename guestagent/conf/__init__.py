"""The runtime's own options, one module per group, and the one way to read the files."""

from collections.abc import Sequence

from oslo_config import cfg

from guestagent.conf import agent, backup, image, instance, operations

DEFAULT_FILES = ("/etc/guestagent/image.conf", "/etc/guestagent/guestagent.conf")
"""Read when they exist, before anything that the command line names."""
INJECTED_DIRECTORY = "/etc/trove/conf.d"
"""Where the control plane puts its files; read when it exists and the command line names no directory."""


def register(conf: cfg.ConfigOpts) -> None:
    """Register the runtime's options; repeating it is safe."""
    conf.register_opts(instance.OPTIONS)
    conf.register_opts(image.OPTIONS, group=image.GROUP)
    conf.register_opts(agent.OPTIONS, group=agent.GROUP)
    conf.register_opts(operations.OPTIONS, group=operations.GROUP)
    conf.register_opts(backup.OPTIONS, group=backup.GROUP)


def load(conf: cfg.ConfigOpts, arguments: Sequence[str], program: str) -> None:
    """Read the image's files, then those of the command line; a later file wins.

    Options that nobody registered, as the control plane injects them, are ignored.

    :raises oslo_config.cfg.Error: a file cannot be parsed or a value has the wrong type.
    """
    from importlib import metadata
    from pathlib import Path

    register(conf)
    conf(
        list(arguments),
        project="guestagent",
        prog=program,
        version=metadata.version("guestagent"),
        default_config_files=[name for name in DEFAULT_FILES if Path(name).exists()],
        default_config_dirs=[INJECTED_DIRECTORY] if Path(INJECTED_DIRECTORY).is_dir() else [],
    )
    _check(conf)


def arguments(conf: cfg.ConfigOpts) -> list[str]:
    """The command line with which another program reads the files that this one has read."""
    sources = [("--config-file", name) for name in conf.config_file] + [
        ("--config-dir", name) for name in conf.config_dir
    ]
    return [f"{kind}={name}" for kind, name in sources]


def _check(conf: cfg.ConfigOpts) -> None:
    """Read every value once: oslo.config converts them when they are asked for, which is too late for us."""
    for module in (image, agent, operations, backup):
        for option in module.OPTIONS:
            getattr(conf[module.GROUP], option.dest)
