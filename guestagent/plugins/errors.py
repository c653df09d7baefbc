"""The ways in which an image can be wrong, each with an exit code of its own.

None of them is cured by another start: somebody has to change the image or what is injected.

==== =================== ==========================================================================
code class               the image or the instance
==== =================== ==========================================================================
65   NothingDeclared     names no datastore in ``[image] datastore``
66   NotInstalled        declares a plugin that no installed distribution offers
67   OfferedTwice        holds two distributions that offer the declared name
68   ImportFailed        declares a plugin whose import raises
69   WrongClass          declares an entry point that leads to no usable class of the right base
70   OtherDatastore      was given to a control plane that expects another datastore here
71   NoGuestId           was not told its ``guest_id``
72   OtherRuntime        holds a plugin that was written for another version of the runtime
73   UnfitStrategy       declares a strategy that does not know the declared datastore
74   LegacyRefused       is only named in ``datastore_registry_ext``, by a class that is no manager
==== =================== ==========================================================================
"""

from typing import ClassVar

from guestagent.contract.errors import GuestAgentError


class PluginError(GuestAgentError):
    """What they share: the agent cannot start, and ends with ``exit_code``."""

    id = "plugin.error"

    exit_code: ClassVar[int]


class NothingDeclared(PluginError):
    """There is no ``[image] datastore``, and nothing else that says what this image holds."""

    id = "image.nothing-declared"
    exit_code = 65
    sentence = (
        "The image does not say which datastore it holds; "
        "set [image] datastore in /etc/guestagent/image.conf to what is installed: {installed}."
    )


class NotInstalled(PluginError):
    """No installed distribution offers the declared name."""

    id = "plugin.not-installed"
    exit_code = 66
    sentence = (
        "[image] declares '{name}', and no installed package offers it in the entry-point group {group}; "
        "install the package that does, or declare what is installed: {installed}."
    )


class OfferedTwice(PluginError):
    """The declared name is ambiguous; nothing was imported."""

    id = "plugin.offered-twice"
    exit_code = 67
    sentence = (
        "'{name}' in the entry-point group {group} is offered more than once, by {offers}; uninstall all but one."
    )


class ImportFailed(PluginError):
    """The plugin's own code raised while it was imported."""

    id = "plugin.import-failed"
    exit_code = 68
    sentence = (
        "'{name}' of the entry-point group {group} cannot be imported from {offer}: {kind}: {problem}; "
        "reinstall the package with everything it needs."
    )


class WrongClass(PluginError):
    """What was imported cannot serve as what it was declared for."""

    id = "plugin.wrong-class"
    exit_code = 69
    sentence = (
        "'{name}' of the entry-point group {group}, {offer}, {problem}; "
        "the entry point must name a class that derives from {base} and implements all of it."
    )


class OtherDatastore(PluginError):
    """The control plane booted an image that holds something else."""

    id = "image.other-datastore"
    exit_code = 70
    sentence = (
        "The control plane expects the datastore '{expected}' (datastore_manager), and this image holds '{declared}'; "
        "register the image for '{declared}', or create the instance from an image that holds '{expected}'."
    )


class NoGuestId(PluginError):
    """Without its id the agent does not know where to listen."""

    id = "instance.no-guest-id"
    exit_code = 71
    sentence = (
        "No guest_id is configured; the control plane injects it in guest_info.conf, "
        "so look at --config-dir and at what the machine was booted with."
    )


class OtherRuntime(PluginError):
    """The plugin's distribution requires another version of this one; nothing was imported."""

    id = "plugin.other-runtime"
    exit_code = 72
    sentence = (
        "'{name}' of the entry-point group {group}, {offer}, requires {requirement}, and this is guestagent {version}; "
        "install versions that belong together."
    )


class UnfitStrategy(PluginError):
    """The strategy is for other datastores."""

    id = "strategy.unfit"
    exit_code = 73
    sentence = (
        "The strategy '{name}' of the entry-point group {group}, {offer}, is for {datastores} and not for "
        "'{datastore}'; take it out of [image], or declare one that fits."
    )


class LegacyRefused(PluginError):
    """The old way of naming a manager leads to a class that this runtime cannot use."""

    id = "legacy.refused"
    exit_code = 74
    sentence = (
        "datastore_registry_ext names {class_path} for '{name}', which is no usable BaseDatastoreManager; "
        "set [image] datastore in /etc/guestagent/image.conf to what is installed: {installed}."
    )
