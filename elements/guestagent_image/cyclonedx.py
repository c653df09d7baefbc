"""An inventory as a bill of materials in CycloneDX 1.5, see https://cyclonedx.org/docs/1.5/json/."""

from typing import Any
from urllib.parse import quote

from guestagent_image.inventory import Inventory, Package


def bill(inventory: Inventory, name: str) -> dict[str, Any]:
    """The document, for :func:`json.dumps`.

    :param name: of the image.
    """
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "operating-system", "name": name, "description": inventory.system}},
        "components": [
            *(_component(package, "pypi") for package in inventory.distributions),
            *(_component(package, "deb/debian") for package in inventory.packages),
        ],
    }


def _component(package: Package, kind: str) -> dict[str, Any]:
    address = f"pkg:{kind}/{quote(package.name.lower())}@{quote(package.version)}"
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": address,
        "name": package.name,
        "version": package.version,
        "purl": address,
    }
    if package.licence:
        found["licenses"] = [{"license": {"name": package.licence}}]
    if package.maturity:
        found["properties"] = [{"name": "guestagent:maturity", "value": package.maturity}]
    return found
