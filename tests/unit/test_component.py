"""What the component hands to Gradio and to the browser."""

from __future__ import annotations

import re

from mobilesam.web.page.component import head_elements, prompt_canvas
from mobilesam.web.server.static_files import STATIC_DIR, static_base


def linked(pattern: str) -> set[str]:
    """What the head's elements load, relative to the folder of static files."""
    base = f"./{static_base()}/"
    return {name.removeprefix(base) for name in re.findall(pattern, head_elements())}


def test_the_main_module_and_every_style_sheet_are_loaded_by_the_head() -> None:
    assert linked(r'import\("(.*?)"\)') == {"main.js"}
    sheets = linked(r'<link rel="stylesheet" href="(.*?)">')
    assert sheets == {path.name for path in STATIC_DIR.rglob("*.css")}


def test_addresses_are_relative_so_that_they_work_behind_a_proxy_with_a_prefix() -> None:
    addresses = re.findall(r'(?:href=|import\()"(.*?)"', head_elements())
    assert all(address.startswith("./") for address in addresses)
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
