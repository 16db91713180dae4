"""The page's JavaScript: unit tests where Node.js is installed, the import rule always.

`make check` runs ESLint and the type check.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from mobilesam.objects import PALETTE

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "mobilesam" / "web" / "static"
TESTS = sorted((ROOT / "tests" / "js").glob("*.test.js"))
LAYERS = {  # what a module of a layer may import from
    "core": {"core"},
    "canvas": {"canvas", "core"},
    "panels": {"panels", "canvas", "core"},
    "io": {"io", "canvas", "core", "decoder"},
    "decoder": {"decoder"},
    "main.js": {"panels", "io", "canvas", "core"},
}
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="Node.js is not installed.")
_IMPORT = re.compile(
    r"""^[ \t]*(?:import|export)\b(?:[^'";]*?\bfrom)?\s*['"]([^'"]+)['"]"""
    r"""|\b(?:import\(|new Worker\(new URL\()\s*['"]([^'"]+)['"]""",
    re.MULTILINE,
)


def imports(text: str) -> list[str]:
    """The modules that a script imports, without those in comments."""
    code = re.sub(r"/\*.*?\*/|(?<!:)//[^\n]*", "", text, flags=re.DOTALL)
    return [static or dynamic for static, dynamic in _IMPORT.findall(code)]


def problems(folder: Path) -> Iterator[str]:
    """What is wrong with the imports of the scripts in a folder, a sentence each."""
    scripts = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*.js")
    }
    imported: dict[str, set[str]] = {name: set() for name in scripts}
    for name, text in scripts.items():
        layer = name.split("/")[0]
        if layer not in LAYERS:
            yield f"{name} is in no layer."
            continue
        types_only = re.findall(r"@import \{[^}]*\} from '([^']+)'", text)
        for target in imports(text) + types_only:
            if not target.startswith("."):
                yield f"{name} imports {target}, which no browser can resolve."
                continue
            path = _joined(PurePosixPath(name).parent, target)
            if path not in scripts:
                yield f"{name} imports {target}, which does not exist."
                continue
            imported[name].add(path)
            if path.split("/")[0] not in LAYERS[layer]:
                yield f"{name} must not import {path}."
    used, found = set(), {"main.js"}
    while found:
        used |= found
        found = {path for name in found for path in imported.get(name, ())} - used
    for name in sorted(scripts.keys() - used):
        yield f"{name} is not used."


def _joined(parent: PurePosixPath, target: str) -> str:
    parts: list[str] = []
    for part in (parent / target).parts:
        if part == ".." and parts:
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def run(*command: str) -> None:
    """Runs a tool in the project's folder and fails with its output."""
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, f"\n{result.stdout}\n{result.stderr}"


def test_imports_go_from_main_to_core_and_every_file_is_used():
    assert list(problems(STATIC)) == []


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("core/a.js", "import {b} from '../canvas/b.js';", "must not import canvas/b.js"),
        ("canvas/b.js", "export * from '../panels/c.js';", "must not import panels/c.js"),
        ("panels/c.js", "import '../io/d.js';", "must not import io/d.js"),
        ("io/d.js", "import {\n  c,\n} from '../panels/c.js';", "must not import panels/c.js"),
        ("io/d.js", "/** @import {C} from '../panels/c.js' */", "must not import panels/c.js"),
        ("core/a.js", "import {a} from '../main.js';", "must not import main.js"),
        ("core/a.js", "import x from 'lodash';", "imports lodash, which no browser can resolve"),
        ("core/a.js", "import x from './x';", "imports ./x, which does not exist"),
        ("io/d.js", "await import('../core/y.js');", "imports ../core/y.js, which does not exist"),
        ("core/z.js", "export const z = 1;", "is not used"),
        ("other/z.js", "export const z = 1;", "is in no layer"),
    ],
)
def test_a_wrong_import_is_found(tmp_path, name, text, problem):
    scripts = {
        "main.js": "import './panels/c.js';\nimport './io/d.js';",
        "panels/c.js": "import {b} from '../canvas/b.js';",
        "io/d.js": "import {a} from '../core/a.js';",
        "canvas/b.js": "// import x from 'a comment'\nimport {a} from '../core/a.js';",
        "core/a.js": "/* import x from './nothing.js' */ export const a = 'https://example.org';",
    }
    for script in {**scripts, name: ""}:
        (tmp_path / script).parent.mkdir(exist_ok=True)
        (tmp_path / script).write_text(scripts.get(script, ""), encoding="utf-8")
    (tmp_path / name).write_text(scripts.get(name, "") + "\n" + text, encoding="utf-8")
    assert f"{name} {problem}." in list(problems(tmp_path))


def test_right_imports_are_no_problem(tmp_path):
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "a.js").write_text("export const a = 1;\n", encoding="utf-8")
    (tmp_path / "main.js").write_text("import {a} from './core/a.js';\n", encoding="utf-8")
    assert list(problems(tmp_path)) == []


def test_the_page_and_the_files_have_the_same_palette():
    text = (STATIC / "core" / "palette.js").read_text(encoding="utf-8")
    assert tuple(re.findall(r"'(#[0-9a-f]{6})'", text)) == PALETTE


@needs_node
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=[pytest.mark.slow] * path.name.startswith("decoder"), id=path.name)
        for path in TESTS
    ],
)
def test_the_logic_of_the_page(path):
    run(str(NODE), str(path))
