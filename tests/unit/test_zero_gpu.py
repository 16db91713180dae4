"""A Space that lends a GPU by the call, played by a module `spaces` of our own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import numpy as np
import pytest

from mobilesam import Prompt, Settings
from mobilesam.web.zero_gpu import lent_gpu, load_with_lent_gpu
from tests.serving import ROOT

ON_THE_SPACE = Settings(zero_gpu=True)


class Lender:
    """spaces.GPU: notes what is decorated and what is called, and with what."""

    def __init__(self):
        self.options = []
        self.calls = []

    def __call__(self, **options):
        self.options.append(options)

        def decorate(function):
            def lent(*args):
                result = function(*args)
                self.calls.append([*args, result])
                return result

            return lent

        return decorate


@pytest.fixture
def lender(monkeypatch):
    lender = Lender()
    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=lender))
    return lender


@pytest.mark.parametrize("value", ["1", "true", "True"])
def test_a_zero_gpu_space_is_known_by_its_variable_and_its_module(lender, value):
    settings = Settings.from_env({"SPACES_ZERO_GPU": value})
    assert lent_gpu(settings) is lender


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_elsewhere_the_module_is_not_touched(lender, monkeypatch, value):
    monkeypatch.setitem(sys.modules, "spaces", None)
    assert lent_gpu(Settings.from_env({"SPACES_ZERO_GPU": value})) is None
    assert lent_gpu(Settings()) is None


def test_without_the_module_the_space_is_an_ordinary_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "spaces", None)  # what is None there cannot be imported
    assert lent_gpu(ON_THE_SPACE) is None


def test_the_encoder_alone_runs_where_it_is_lent_and_the_answer_is_the_same(lender, bundled, disc):
    segmenter = load_with_lent_gpu(lent_gpu(ON_THE_SPACE), "bundled", ON_THE_SPACE, "cpu")
    assert lender.calls == []
    assert 0 < lender.options[0]["duration"] <= 60
    embedding = segmenter.encode(disc)
    segmenter.encode(disc)
    prompt = Prompt([(90, 60)], [1])
    mine, plain = (one.predict(one.encode(disc), prompt) for one in (segmenter, bundled))
    assert len(lender.calls) == 1
    assert all(isinstance(value, np.ndarray) for value in lender.calls[0])
    assert embedding.features.device.type == "cpu"
    assert (mine.masks == plain.masks).mean() > 0.999
    np.testing.assert_allclose(mine.iou_predictions, plain.iou_predictions, atol=1e-3)


@pytest.mark.parametrize("zero_gpu", ["true", ""])
def test_the_model_is_there_before_the_launch_only_where_a_gpu_is_lent(zero_gpu):
    """`spaces` must come before torch, and counts what is decorated when the page is launched."""
    program = textwrap.dedent("""
        import sys, types
        order = []
        class Spaces(types.ModuleType):
            @property
            def GPU(self):
                order.append("lend with torch" if "torch" in sys.modules else "lend")
                return lambda **_: lambda function: function
        sys.modules["spaces"] = Spaces("spaces")
        import mobilesam.web.start as start, mobilesam.web.ui as ui
        class Page:
            launch = lambda self, **_: order.append("launch")
            block_thread = lambda self: None
            local_url = "http://127.0.0.1/"
        ui.build_demo = lambda *_: Page()
        start._load = lambda *args: order.append("load")
        start.serve_page()
        print(order)
    """)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=ROOT, env={**os.environ, "SPACES_ZERO_GPU": zero_gpu}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = ["lend", "load", "launch"] if zero_gpu else ["launch", "load"]
    assert done.stdout.splitlines()[-1] == str(expected)
