"""The page's component: one gr.HTML that holds the markup and mounts the modules in `static`."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from mobilesam.web.server.static_files import STATIC_DIR, static_base

# In the order of the cascade.
_STYLE_SHEETS = ("page.css", "stage.css", "panels.css", "result.css", "devices.css")


def prompt_canvas(server_functions: Sequence[Callable[..., Any]], **props: Any) -> gr.HTML:
    """The whole page: the photo, the gestures on it, the masks and the panels beside them.

    The modules call `server.<name of a function>(query)` and read `props.<name>`.
    """
    return gr.HTML(
        html_template=(STATIC_DIR / "index.html").read_text("utf-8"),
        # Imported by one of Gradio's modules, so the address is made absolute.
        js_on_load=(
            f'import(new URL("./{static_base()}/main.js", document.baseURI))'
            ".then((module) => module.mount({element, props, server}))"
            ".catch((error) => {"
            " console.error(error);"
            " element.querySelector('[data-part=load-error]').hidden = false;"
            " });"
        ),
        apply_default_css=False,
        server_functions=list(server_functions),
        **props,
    )


def head_elements() -> str:
    """Icon and style sheets for the document's head, and a script that starts to load the modules.

    The addresses are relative to the page's own, like those of Gradio's scripts, so that they are
    valid behind a proxy that serves the page under a prefix. The script runs after Gradio's main
    one; links to the modules would compete with Gradio's files for the browser's connections.
    """
    base = f"./{static_base()}"
    links = [f'<link rel="stylesheet" href="{base}/{name}">' for name in _STYLE_SHEETS]
    icon = '<link rel="icon" href="./favicon.ico">'  # else browsers ask the root of the host
    return "".join([icon, *links, f'<script type="module">import("{base}/main.js")</script>'])
