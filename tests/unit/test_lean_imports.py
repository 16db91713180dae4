"""What importing the package leaves out, and that it can still be used afterwards."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow  # imports torch anew


def run(program: str) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_compiler_of_torch_is_not_imported_and_works_afterwards():
    program = """
import sys, mobilesam.segmenter, torch, torchvision
print("torch._dynamo" in sys.modules, "torch._dynamo.utils" in sys.modules)
print(torch.compile(lambda x: x + 1, backend="eager")(torch.zeros(1)).item())
print(type(torch._dynamo).__name__, sys.modules["torch._dynamo"].__file__ is not None)
box = torch.tensor([[0, 0, 0, 4, 4.0]])
print(tuple(torchvision.ops.roi_align(torch.rand(1, 3, 8, 8), box, 2).shape))
"""
    assert run(program).split("\n") == [
        "False False",
        "1.0",
        "module True",
        "(1, 3, 2, 2)",
        "",
    ]


def test_an_unknown_use_of_the_compiler_finds_the_real_one():
    program = """
import sys
from mobilesam.model.imports import without_compiler
with without_compiler():
    import torch
    import torch._dynamo
    print(torch._dynamo.is_compiling())
    print(sys.modules["torch._dynamo"].__file__ is not None)
"""
    assert run(program) == "False\nTrue\n"


def test_the_compiler_can_be_looked_up_without_being_imported():
    program = """
import importlib.util
import sys
from mobilesam.model.imports import without_compiler
with without_compiler():
    for name in ("torch._dynamo", "torch._dynamo.utils"):
        print(importlib.util.find_spec(name).name, hasattr(sys.modules[name], "__file__"))
print(importlib.util.find_spec("torch._dynamo").origin is not None)
"""
    assert run(program).split("\n") == [
        "torch._dynamo False",
        "torch._dynamo.utils False",
        "True",
        "",
    ]


def test_a_compiler_that_is_there_stays():
    program = """
import sys, torch._dynamo
before = sys.modules["torch._dynamo"]
import mobilesam.segmenter
print(sys.modules["torch._dynamo"] is before)
"""
    assert run(program) == "True\n"
