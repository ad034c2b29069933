"""THIRD_PARTY.txt: name, version, licence and licence text of every part that the executable carries."""

import json
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from building.paths import STATIC_DIST

HEAD = """\
Vemetric is MIT licensed. Its executable also carries the parts below, unchanged, each under its own licence.

IP geolocation by DB-IP: https://db-ip.com (CC BY 4.0).
The list of bots is device-detector's regexes/upstream/bots.yml (LGPL-3.0-or-later): the package is used as published,
its file can be replaced in the folder that the executable unpacks into.
The browser client is @vemetric/web, inside a wrapper that sets the default address.
"""
LICENSE_NAMES = ("LICENSE*", "LICENCE*", "COPYING*", "NOTICE*", "licenses/**/*", "license_files/**/*")


def text(dependencies: Path) -> str:
    """Write the notices for the packages installed in a folder and the npm packages in dist/."""
    sections = [HEAD]
    for folder in sorted(dependencies.glob("*.dist-info")):
        about = HeaderParser().parsestr((folder / "METADATA").read_text(encoding="utf-8"))
        sections.append(section(str(about["Name"]), str(about["Version"]), license_name(about), license_text(folder)))
    for part in json.loads((STATIC_DIST / "notices.json").read_text(encoding="utf-8")):
        sections.append(section(part["name"], part["version"], part["license"], part["text"]))
    return "\n".join(sections)


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
