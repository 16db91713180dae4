"""What the component hands to Gradio and to the browser."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from mobilesam.web.page.component import head_links, prompt_canvas
from mobilesam.web.server.static_files import STATIC_DIR, static_base


class Links(HTMLParser):
    """The links of some HTML, as (rel, href)."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        assert tag == "link"
        self.found.append((values["rel"] or "", values["href"] or ""))


@pytest.fixture
def links() -> list[tuple[str, str]]:
    return Links(head_links()).found


def imported_modules(path: str) -> set[str]:
    """The modules that a module imports when it runs, itself included, relative to STATIC_DIR."""
    found: set[str] = set()
    pending = [STATIC_DIR / path]
    while pending:
        module = pending.pop().resolve()
        name = module.relative_to(STATIC_DIR.resolve()).as_posix()
        if name in found:
            continue
        found.add(name)
        imports = re.findall(r"^import .*?from '(.+?)';$", module.read_text("utf-8"), re.M | re.S)
        pending += [module.parent / other for other in imports]
    return found


def test_the_preloaded_modules_are_those_that_the_main_module_imports(
    links: list[tuple[str, str]],
) -> None:
    base = f"./{static_base()}/"
    preloaded = {href.removeprefix(base) for rel, href in links if rel == "modulepreload"}
    assert preloaded == imported_modules("main.js")


def test_every_style_sheet_is_linked(links: list[tuple[str, str]]) -> None:
    base = f"./{static_base()}/"
    linked = {href.removeprefix(base) for rel, href in links if rel == "stylesheet"}
    assert linked == {path.name for path in STATIC_DIR.rglob("*.css")}


def test_addresses_are_relative_so_that_they_work_behind_a_proxy_with_a_prefix(
    links: list[tuple[str, str]],
) -> None:
    assert all(href.startswith("./") for _, href in links)
    script = prompt_canvas([]).js_on_load
    assert f'import(new URL("./{static_base()}/main.js", document.baseURI))' in script


def test_gradio_finds_nothing_to_evaluate_in_the_markup() -> None:
    # Gradio compiles it with Handlebars, and then as a JavaScript template literal.
    markup = prompt_canvas([]).html_template
    assert 'data-part="photo"' in markup
    assert not re.search(r"\{\{|\$\{|`|\\|<script", markup)


def test_every_named_element_of_the_markup_is_a_known_one() -> None:
    markup = prompt_canvas([]).html_template
    types = (STATIC_DIR / "types.d.ts").read_text("utf-8")
    (declared,) = re.findall(r"^type Refs = (Record<.*?);$", types, re.M | re.S)
    names = set(re.findall(r"'(\w+)'", declared)) | set(re.findall(r"(\w+): HTML", declared))
    used = {
        re.sub("-(.)", lambda match: match[1].upper(), name)
        for name in re.findall(r'data-part="([\w-]+)"', markup)
    }
    assert used - {"loadError"} == names
