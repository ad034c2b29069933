"""What the house promises about its own files, so that a rule holds without a reviewer. Layers: pyproject.toml."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from building.paths import PACKAGE, ROOT, STATIC, STATIC_DIST, files_below

LINES_MAX = 400
FUNCTION_LINES_MAX = 60
# Addresses that a page of ours may carry: links a person may follow, and names of XML vocabularies.
ADDRESSES_ALLOWED = (
    "http://www.w3.org/",
    "https://db-ip.com",
    "https://vemetric.com/docs",
)
PLACEHOLDER_ADDRESS = re.compile(r"https?://([\w-]+\.)*(example\.(com|org|net)|test|localhost)\b")
OURS = ("css", "js", "img")


def modules() -> list[Path]:
    return [path for path in files_below(PACKAGE) if path.suffix == ".py"]


def templates() -> list[Path]:
    return [path for path in files_below(PACKAGE) if path.suffix in (".html", ".mjml", ".j2")]


def web_pages() -> list[Path]:
    """Templates that a browser shows under our content security policy; a letter is shown by a mail program."""
    return [path for path in templates() if "mail" not in path.relative_to(PACKAGE).parts]


def front_end() -> list[Path]:
    return [file for name in OURS for file in files_below(STATIC / name)]


def texts(paths: list[Path]) -> Iterator[tuple[str, str]]:
    for path in paths:
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_module_says_its_place(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "a module opens with a sentence on its place in the flow"


def test_modules_stay_readable() -> None:
    long = {name: text.count("\n") for name, text in texts(modules()) if text.count("\n") > LINES_MAX}
    assert not long, long


def test_functions_stay_readable() -> None:
    long = [
        f"{name}: {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for name, text in texts([path for path in modules() if "migrations" not in path.parts])
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= FUNCTION_LINES_MAX
    ]
    assert not long, long


def test_nothing_is_left_unfinished() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    found = [name for name, text in texts([*modules(), *templates(), *front_end()]) if marks.search(text)]
    assert not found


@pytest.mark.parametrize("path", web_pages(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_page_runs_under_a_strict_policy(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"<style\b", text), "styles belong in static/css"
    assert not re.search(r"\sstyle\s*=", text), "the policy refuses style attributes"
    assert not re.search(r"\son[a-z]+\s*=\s*[\"']", text), "the policy refuses event attributes"
    assert "javascript:" not in text
    for tag in re.findall(r"<script\b[^>]*>", text):
        assert "src=" in tag or 'type="application/json"' in tag, f"a script without an address: {tag}"


@pytest.mark.parametrize("path", [*web_pages(), *front_end()], ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_page_asks_nobody_else(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    addresses = re.findall(r"(?:https?:)?//[a-z0-9][\w.-]*\.[a-z]{2,}[^\s\"'<>)`]*", text, re.IGNORECASE)
    for address in addresses:
        assert address.startswith(ADDRESSES_ALLOWED) or PLACEHOLDER_ADDRESS.match(address), address
    assert not re.search(r"@import|url\(\s*[\"']?(https?:)?//", text)


def test_files_that_pages_name_exist() -> None:
    served = {file.relative_to(STATIC_DIST).as_posix() for file in files_below(STATIC_DIST)}
    missing = [
        (name, wanted)
        for name, text in texts(web_pages())
        for wanted in re.findall(r"(?:asset|static)\(\s*[\"']([^\"'{}]+)[\"']\s*\)", text)
        if wanted.partition("#")[0] not in served
    ]
    assert not missing


def test_files_that_styles_and_modules_name_exist() -> None:
    missing = [
        (name, wanted)
        for name, text in texts([path for path in front_end() if path.suffix in (".css", ".js")])
        for wanted in re.findall(r"(?:\bfrom|\bimport)\s*\(?[\"'](\.[^\"']+)[\"']|url\([\"']?(\.[^\"')#]+)", text)
        for wanted in filter(None, wanted)
        if not ((ROOT / name).parent / wanted).exists()
    ]
    assert not missing


def test_every_template_is_used() -> None:
    everything = "\n".join(text for _, text in texts([*modules(), *templates()]))
    unused = [path.name for path in templates() if path.stem not in everything.replace(f"{path}", "")]
    assert not unused


def test_sql_files_are_used_and_explained() -> None:
    code = "\n".join(text for _, text in texts(modules()))
    for path in (path for path in files_below(PACKAGE) if path.suffix == ".sql" and "migrations" not in path.parts):
        assert path.read_text(encoding="utf-8").lstrip().startswith("--"), f"{path.name} opens with its purpose"
        assert path.stem in code, f"nothing runs {path.name}"


def test_no_committed_text_names_a_registry_or_a_machine() -> None:
    hosts = re.compile(r"pypi\.org|pythonhosted|npmjs|deb\.debian|/work/|/root/")
    candidates = [
        *ROOT.glob("*.*"),
        *ROOT.glob(".ci/*"),
        *files_below(ROOT / "building"),
        *modules(),
        *templates(),
        *front_end(),
        *ROOT.glob("docs/**/*.md"),
    ]
    found = [name for name, text in texts([path for path in candidates if path.is_file()]) if hosts.search(text)]
    assert not found


def test_license_is_ours_and_named() -> None:
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")


def documents() -> list[Path]:
    return [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_of_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_every_document_is_found_from_another_one() -> None:
    linked = {
        (path.parent / target).resolve()
        for path in documents()
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8"))
    }
    assert [path.name for path in ROOT.glob("docs/**/*.md") if path.resolve() not in linked] == []


def test_decisions_are_numbered_one_by_one() -> None:
    files = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    for number, path in enumerate(files, 1):
        assert path.name.startswith(f"{number:04d}-"), path.name
        assert path.read_text(encoding="utf-8").startswith(f"# {number}. "), path.name


def test_the_map_names_every_queue_and_layer() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    queues = re.findall(r'^[A-Z_]*QUEUE = "([\w-]+)"$', "\n".join(text for _, text in texts(modules())), re.MULTILINE)
    assert queues
    assert [queue for queue in queues if f"| `{queue}` |" not in text] == []
    layers = re.findall(r'^  "(vemetric\..+)",$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    names = re.findall(r"vemetric\.(\w+)", "\n".join(layers))
    drawn = text.partition("## Layers")[2].partition("## Stores")[0]
    assert len(names) > 15
    assert [name for name in names if not re.search(rf"\b{name}\b", drawn)] == []


def test_changelog_opens_with_what_is_not_released() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
