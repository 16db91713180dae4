"""The page's scripts and styles: their types and caching, and nothing but them."""

from __future__ import annotations

import mimetypes
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

import mobilesam
from mobilesam.web.server.static_files import static_base, static_route

FILES = {
    "main.js": "import './core/a.js';",
    "core/a.js": "export {};",
    "main.css": "p {}",
    ".hidden.js": "secret",
    "main.py": "secret",
    "notes.txt": "secret",
}


def folder_of(parent: Path, files: dict[str, str] = FILES) -> Path:
    folder = parent / "static"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (parent / "secret.js").write_text("secret")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of(tmp_path)


@pytest.fixture
def client(folder: Path) -> TestClient:
    return TestClient(Starlette(routes=[static_route(folder)]))


@pytest.mark.parametrize(
    ("name", "kind"),
    [("main.js", "text/javascript"), ("core/a.js", "text/javascript"), ("main.css", "text/css")],
)
def test_a_file_is_served_with_its_type_whatever_the_machine_believes(
    client, folder, monkeypatch, name, kind
):
    monkeypatch.setattr(mimetypes, "guess_type", lambda *_, **__: ("text/plain", None))
    reply = client.get(f"/{static_base(folder)}/{name}")
    assert (reply.status_code, reply.text) == (200, FILES[name])
    assert reply.headers["content-type"] == f"{kind}; charset=utf-8"
    assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_compiled_code_has_the_type_that_browsers_ask_for(tmp_path):
    folder = folder_of(tmp_path, {"a.wasm": "\0asm"})
    reply = TestClient(Starlette(routes=[static_route(folder)])).get(
        f"/{static_base(folder)}/a.wasm"
    )
    assert (reply.content, reply.headers["content-type"]) == (b"\0asm", "application/wasm")


def test_the_head_of_a_file_is_served(client, folder):
    reply = client.head(f"/{static_base(folder)}/main.js")
    assert reply.status_code == 200
    assert reply.headers["content-length"] == str(len(FILES["main.js"]))


@pytest.mark.parametrize(
    "name",
    ["", ".hidden.js", "main.py", "notes.txt", "core", "core/", "missing.js", "../secret.js",
     "..%2fsecret.js", "%2e%2e/secret.js", "core/../../secret.js", "/etc/passwd", "core\\a.js"],
)  # fmt: skip
def test_nothing_else_is_served(client, folder, name):
    reply = client.get(f"/{static_base(folder)}/{name}")
    assert reply.status_code == 404
    assert "secret" not in reply.text


def test_the_path_changes_with_any_content_and_shows_no_folder(tmp_path):
    bases = {
        static_base(folder_of(tmp_path / str(index), files))
        for index, files in enumerate(
            [FILES, FILES, FILES | {"main.css": "q {}"}, FILES | {"core/b.js": "export {};"},
             {"main.js": "a", "b.js": "c"}, {"main.js": "ab.js", "b.js": "c"}]
        )
    }  # fmt: skip
    assert len(bases) == 5  # two folders have the same files
    assert all(base.startswith(f"mobilesam-{mobilesam.__version__}-") for base in bases)
    assert not any("/" in base for base in bases)


def test_an_outdated_path_is_not_found(client, folder):
    stale = static_base(folder)[:-1] + "x"
    assert client.get(f"/{stale}/main.js").status_code == 404


def test_a_file_that_changes_later_is_served_as_its_digest_says(client, folder):
    (folder / "main.js").write_text("changed")
    assert client.get(f"/{static_base(folder)}/main.js").text == FILES["main.js"]
