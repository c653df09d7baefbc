"""``guestagentctl config-sample``: every option of what is installed, with its help and its default."""

import argparse
import io
import json
from importlib import metadata

from oslo_config import cfg

from guestagent.cmd.ctl.command import Answer, Command
from guestagent.contract.errors import GuestAgentError

GROUP = "oslo.config.opts"
LIBRARIES = ("oslo.log", "oslo.messaging")


class SampleFailed(GuestAgentError):
    """An installed package cannot say which options it has."""

    id = "ctl.sample-failed"
    sentence = "The options of what is installed cannot be listed: {kind}: {problem}."


def _run(options: argparse.Namespace) -> Answer:
    if options.json:
        return Answer(json.loads(_generate("json")), "")
    return Answer(None, _generate("ini").rstrip("\n"))


def _generate(form: str) -> str:
    from oslo_config import generator

    conf = cfg.ConfigOpts()
    generator.register_cli_opts(conf)
    conf([*(f"--namespace={name}" for name in _namespaces()), f"--format={form}"], default_config_files=[])
    sample = io.StringIO()
    try:
        generator.generate(conf, sample)
    except Exception as error:
        # It runs the code of every package that has options of ours.
        raise SampleFailed(kind=type(error).__name__, problem=error) from error
    return sample.getvalue()


def _namespaces() -> list[str]:
    """The runtime's options, those of the libraries that it stands on, and those of its plugins."""
    found = metadata.entry_points().select(group=GROUP)
    ours = {entry_point.name for entry_point in found if f"{entry_point.name}.".startswith("guestagent.")}
    return [*sorted(ours), *LIBRARIES]


COMMAND = Command(
    name="config-sample",
    summary="a sample of the configuration files, for what is installed",
    run=_run,
    examples="guestagentctl config-sample > guestagent.conf.sample",
)
