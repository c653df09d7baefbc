"""An inventory as a bill of materials in CycloneDX 1.5, see https://cyclonedx.org/docs/1.5/json/."""

from typing import Any
from urllib.parse import quote

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.utils import canonicalize_name

from guestagent_image.inventory import Inventory, Package


def bill(inventory: Inventory, name: str) -> dict[str, Any]:
    """The document, for :func:`json.dumps`.

    :param name: of the image.
    """
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": _image(inventory, name)},
        "components": [
            *(_component(package, f"pypi/{canonicalize_name(package.name)}") for package in inventory.distributions),
            *(_component(package, f"deb/debian/{quote(package.name)}") for package in inventory.packages),
        ],
    }


def _image(inventory: Inventory, name: str) -> dict[str, Any]:
    names = {"declared": inventory.declared, "installed": inventory.plugins}
    return {
        "type": "operating-system",
        "name": name,
        "description": inventory.system,
        "properties": [
            _property(f"{state}:{kind}", ", ".join(plugins))
            for state, kinds in names.items()
            for kind, plugins in kinds.items()
            if plugins
        ],
    }


def _component(package: Package, path: str) -> dict[str, Any]:
    """One of them; ``path`` is what a package URL says before the version."""
    address = f"pkg:{path}@{quote(package.version)}"
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": address,
        "name": package.name,
        "version": package.version,
        "purl": address,
        "properties": [_property("bytes", str(package.bytes))],
    }
    if package.licence:
        found["licenses"] = [_licence(package.licence)]
    if package.maturity:
        found["properties"].append(_property("maturity", package.maturity))
    return found


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"guestagent:{name}", "value": value}


def _licence(said: str) -> dict[str, Any]:
    """In SPDX's words where it is said in them."""
    try:
        return {"expression": canonicalize_license_expression(said)}
    except InvalidLicenseExpression:
        return {"license": {"name": said}}
