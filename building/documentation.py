"""The documentation: docs/ rendered by MkDocs, one JSON document per page, in the order of mkdocs.yml.

The product puts the parts into its own page (vemetric/web/pages/docs.py), so the theme holds no page of its own.
"""

import json
import re
import shutil
from pathlib import Path

from building import environment
from building.paths import ROOT, WORK, digest, files_below, is_stamped, run, say, write_stamp

SOURCES = ROOT / "docs"
CONFIG = ROOT / "mkdocs.yml"
THEME = ROOT / "building" / "docs_theme"
FOLDER = WORK / "docs"
STAMP = WORK / "docs.stamp"


def build() -> Path:
    """Render the documentation if it changed; answer the folder with `index.json`, `snippets.json` and so on."""
    content = _inputs()
    if FOLDER.is_dir() and is_stamped(STAMP, content):
        return FOLDER
    python = environment.ensure("build")
    say("rendering the documentation")
    rendered = WORK / "docs-rendered"
    options: list[str | Path] = ["--strict", "--quiet", "--config-file", CONFIG, "--site-dir", rendered]
    run([python, "-m", "mkdocs", "build", *options])
    shutil.rmtree(FOLDER, ignore_errors=True)
    for page in sorted(rendered.rglob("index.html")):
        name = page.parent.relative_to(rendered).as_posix().strip(".") or "index"
        target = FOLDER / f"{name}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        parts = json.loads(page.read_text(encoding="utf-8"))
        parts["content"] = _fitted(parts["content"])
        target.write_text(json.dumps(parts), encoding="utf-8")
    write_stamp(STAMP, content)
    return FOLDER


def _fitted(content: str) -> str:
    """Let what is wider than a phone scroll on its own, by keyboard too, and style nothing in place: pages may not."""
    content = re.sub(r' style="text-align: (left|center|right);"', r' class="docs__\1"', content)
    content = content.replace("<pre>", '<pre tabindex="0">')
    content = content.replace(
        "<table>", '<div class="docs__table" role="region" aria-label="Table" tabindex="0"><table>'
    )
    return content.replace("</table>", "</table></div>")


def _inputs() -> str:
    parts = [digest(files_below(folder), relative_to=folder) for folder in (SOURCES, THEME)]
    return "\n".join([*parts, CONFIG.read_text(encoding="utf-8"), environment.lock_of("build").read_text()])
