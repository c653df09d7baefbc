"""What keeps an image from being made; each error has an id and one sentence that says what to do next."""

from typing import ClassVar


class ImageError(Exception):
    """What they share.

    :cvar id: for programs; never changes.
    :cvar sentence: for people.
    """

    id: ClassVar[str]
    sentence: ClassVar[str]

    def __init__(self, **details: object) -> None:
        super().__init__(self.sentence.format(**details))


class ToolFailed(ImageError):
    """A program that the work is done with ended with an error."""

    id = "image.tool-failed"
    sentence = "{program} failed: {problem}"


class ToolMissing(ImageError):
    """A program is not there."""

    id = "image.tool-missing"
    sentence = "{program} is not installed; on Debian, install the package {package}."


class Unfit(ImageError):
    """The agent would not start from what was chosen."""

    id = "image.unfit"
    sentence = "This selection would give an image whose agent does not start: {problem}"


class ExperimentalPlugin(ImageError):
    """A plugin is experimental, and the builder did not say that this is wanted."""

    id = "image.experimental"
    sentence = (
        "This selection holds what is experimental: {plugins}; choose something else, "
        "or say --experimental, if nobody will depend on this image."
    )


class WrongPolicy(ImageError):
    """A policy cannot be read, or says something that nobody understands."""

    id = "image.wrong-policy"
    sentence = "{path} is no policy for images: {problem}; correct the file, and build then."


class PolicyRefused(ImageError):
    """The policy does not let a plugin on images."""

    id = "image.policy-refused"
    sentence = "The policy {path} refuses this selection: {reasons}; choose something else, or have the policy changed."


class UnknownSource(ImageError):
    """A directory holds no distribution."""

    id = "image.unknown-source"
    sentence = "{path} holds no setup.cfg with a name; --source wants a checkout that has the distributions."


class OtherPython(ImageError):
    """Wheels are made for one version of Python, and the image has another."""

    id = "image.other-python"
    sentence = (
        "{release} has Python {wanted}, and the wheels are for {found}; run guestagent-image wheelhouse with Python "
        "{wanted}, and build with its directory as --wheelhouse."
    )


class NoWheelhouse(ImageError):
    """A directory was not made by the command for wheelhouses."""

    id = "image.no-wheelhouse"
    sentence = "{path} holds no {missing}; make it with guestagent-image wheelhouse."


class UnknownElement(ImageError):
    """There is no element for what was chosen."""

    id = "image.unknown-element"
    sentence = "There is no element {name}; there are {known}. --elements DIR adds a directory of others."


class NoImage(ImageError):
    """What should be looked into is no image."""

    id = "image.no-image"
    sentence = "{path} holds no partition with a file system of Linux; is it an image of this command?"


class NotFresh(ImageError):
    """The directory would hold more than what was chosen."""

    id = "image.not-fresh"
    sentence = "{path} is not empty; name a new directory."
