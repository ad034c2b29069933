"""THIRD_PARTY.txt and sbom.json: name, version and licence of every part that the executable carries."""

import json
from collections.abc import Iterable
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from building.paths import ROOT, STATIC_DIST

HEAD = """\
Vemetric is MIT licensed. Its executable also carries the parts below, unchanged, each under its own licence.

IP geolocation by DB-IP: https://db-ip.com (CC BY 4.0).
The list of bots is Matomo's Device Detector's, as the package device-detector publishes it, unmodified: the file
device_detector/regexes/upstream/bots.yml, which can be replaced in the folder that the executable unpacks into.
The browser client is @vemetric/web, inside a wrapper that sets the default address.
"""
# Packages that publish no licence text: what their files say, and the text.
SUPPLIED = {"device_detector": ("LGPL-3.0-or-later, only its list of bots is carried", "LGPL-3.0-or-later.txt")}
SUPPLIED_TEXTS = ROOT / "building" / "licenses"
LICENSE_NAMES = ("LICENSE*", "LICENCE*", "COPYING*", "NOTICE*", "licenses/**/*", "license_files/**/*")


class Part(NamedTuple):
    """What the executable carries of somebody else. kind: the registry it is from, as a package URL names it."""

    kind: str
    name: str
    version: str
    license_name: str
    license_text: str


def parts(dependencies: Path) -> list[Part]:
    """List the packages installed in a folder and the npm packages in dist/."""
    found = []
    for folder in sorted(dependencies.glob("*.dist-info")):
        about = HeaderParser().parsestr((folder / "METADATA").read_text(encoding="utf-8"))
        name, named = str(about["Name"]), (license_name(about), license_text(folder))
        if name in SUPPLIED:
            named = (SUPPLIED[name][0], (SUPPLIED_TEXTS / SUPPLIED[name][1]).read_text(encoding="utf-8"))
        found.append(Part("pypi", name, str(about["Version"]), *named))
    for one in json.loads((STATIC_DIST / "notices.json").read_text(encoding="utf-8")):
        found.append(Part("npm", one["name"], one["version"], one["license"], one["text"]))
    return found


def text(carried: Iterable[Part]) -> str:
    """Write THIRD_PARTY.txt."""
    return "\n".join([HEAD, *(section(*part[1:]) for part in carried)])


def bill_of_materials(carried: Iterable[Part], version: str) -> str:
    """Write sbom.json: CycloneDX 1.6, without time and serial number, so that equal input gives equal bytes."""
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "vemetric-server", "version": version}},
        "components": [
            {
                "type": "library",
                "name": part.name,
                "version": part.version,
                "purl": package_url(part),
                "licenses": [{"license": {"name": part.license_name}}],
            }
            for part in carried
        ],
    }
    return json.dumps(document, indent=1)


def package_url(part: Part) -> str:
    """Name a part as scanners do: pkg:pypi/aiohttp@3.13.2, pkg:npm/%40vemetric/web@1.0.0."""
    name = part.name.lower().replace("_", "-") if part.kind == "pypi" else part.name
    return f"pkg:{part.kind}/{quote(name)}@{quote(part.version)}"


def section(name: str, version: str, license_name: str, license_text: str) -> str:
    return f"{'=' * 100}\n{name} {version}\nLicence: {license_name}\n\n{license_text.strip()}\n"


def license_name(about: Message) -> str:
    """Find a distribution's licence: the SPDX expression, else the classifier, else the free text's first line."""
    classifiers = [str(line) for line in about.get_all("Classifier", []) if str(line).startswith("License :: ")]
    free_text = str(about["License"] or "").strip().partition("\n")[0]
    named = [line.rpartition(" :: ")[2] for line in classifiers if line.count(" :: ") > 1]
    return str(about["License-Expression"] or "; ".join(named) or free_text or "see the text below")


def license_text(folder: Path) -> str:
    """Join the licence files of a distribution."""
    found = sorted({file for name in LICENSE_NAMES for file in folder.glob(name) if file.is_file()})
    return "\n\n".join(file.read_text(encoding="utf-8", errors="replace") for file in found)
