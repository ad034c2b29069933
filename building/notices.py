"""THIRD_PARTY.txt: name, version, licence and licence text of every part that the executable carries."""

import json
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

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


def text(dependencies: Path) -> str:
    """Write the notices for the packages installed in a folder and the npm packages in dist/."""
    sections = [HEAD]
    for folder in sorted(dependencies.glob("*.dist-info")):
        about = HeaderParser().parsestr((folder / "METADATA").read_text(encoding="utf-8"))
        name, named = str(about["Name"]), (license_name(about), license_text(folder))
        if name in SUPPLIED:
            named = (SUPPLIED[name][0], (SUPPLIED_TEXTS / SUPPLIED[name][1]).read_text(encoding="utf-8"))
        sections.append(section(name, str(about["Version"]), *named))
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
