"""What computes the photos of a batch can be another process: the order, the journal, the end."""

from __future__ import annotations

import json
import pickle
import socket
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from mobilesam.cli import commands, ray_runner
from mobilesam.cli.batch import LocalRunner
from mobilesam.cli.main import main
from mobilesam.errors import MobileSamError
from tests.batch_driver import CheapSegmenter
from tests.unit.test_cli_batch import about, finished, save_photos, save_prompts


class FarRunner:
    """As if elsewhere: jobs and outcomes are pickled, and come in the reverse order."""

    def __init__(self, folder, segmenter=None, ends_after=10**9):
        self.segmenter = segmenter or CheapSegmenter()
        self.checkpoint, self.weights = self.segmenter.checkpoint, self.segmenter.weights
        self._local = LocalRunner(self.segmenter, pickle.loads(pickle.dumps(folder)))
        self._ends_after = ends_after

    def run(self, jobs):
        sent = [pickle.dumps(job) for job in jobs]
        for number, job in enumerate(reversed(sent)):
            if number == self._ends_after:
                raise KeyboardInterrupt
            (outcome,) = self._local.run([pickle.loads(job)])
            yield pickle.loads(pickle.dumps(outcome))


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """run(runner_of) gives (status, stderr); runner_of(folder) computes, None for this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mobilesam.cli.main.tune_process", lambda: None)

    def run_batch(runner_of=None, segmenter=None):
        @contextmanager
        def connected(address, folder, *options):
            assert address == "head:6379"
            yield runner_of(folder)

        monkeypatch.setattr(ray_runner, "ray_runner", connected)
        monkeypatch.setattr(commands, "load_segmenter", lambda args, settings: segmenter)
        argv = ["batch", "photos", "--prompts", "prompts.jsonl", "--out", "a.json", "--quiet"]
        status = main([*argv, *(["--ray", "head:6379"] if runner_of else [])])
        return status, capsys.readouterr().err

    return run_batch


def test_outcomes_in_any_order_give_the_file_of_a_local_run(run):
    save_photos(6)
    Path("photos/002.png").write_bytes(b"not a photo")
    save_prompts(*[about(number, x=3 + number % 3) for number in range(6)], about(4, x=99))
    status, said = run(segmenter=CheapSegmenter())
    local = Path("a.json").read_bytes()
    assert (status, said.count("\n")) == (1, 2)
    far_status, far_said = run(FarRunner)
    assert far_status == 1
    assert sorted(far_said.splitlines()) == sorted(said.splitlines())
    assert Path("a.json").read_bytes() == local
    assert not Path("a.json.part").exists()


@pytest.mark.parametrize("far_first", [True, False])
def test_an_interrupted_run_resumes_in_either_mode(run, far_first):
    save_photos(6)
    save_prompts(*[about(number) for number in range(6)])

    class Interrupted(CheapSegmenter):
        def predict(self, embedding, prompt):
            if len(self.encoded) == 3:
                raise KeyboardInterrupt
            return super().predict(embedding, prompt)

    if far_first:
        status, said = run(lambda folder: FarRunner(folder, ends_after=2))
    else:
        status, said = run(segmenter=Interrupted())
    assert status == 130
    assert said == "Run the same command again to resume.\nInterrupted.\n"
    assert len(Path("a.json.part").read_text().splitlines()) == 2
    again = CheapSegmenter()
    if far_first:
        assert run(segmenter=again)[0] == 0
    else:
        assert run(lambda folder: FarRunner(folder, again))[0] == 0
    assert len(again.encoded) == 4
    assert list(finished()) == [f"{number:03}.png" for number in range(6)]


def test_the_journal_has_a_photo_as_soon_as_it_is_computed(run):
    save_photos(3)
    save_prompts(*[about(number) for number in range(3)])

    class Watching(FarRunner):
        def run(self, jobs):
            for number, outcome in enumerate(super().run(jobs)):
                assert len(Path("a.json.part").read_text().splitlines()) == number
                yield outcome

    assert run(Watching)[0] == 0
    assert len(json.loads(Path("a.json").read_text())["images"]) == 3


def connect(address="", ray=None):
    with ray_runner.ray_runner(address, None, False, "bundled", "cpu", commands.Settings()):
        pass


def test_without_ray_the_command_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MobileSamError) as caught:
        connect()
    assert str(caught.value) == "--ray needs Ray: pip install -r requirements-ray.txt"


class FakeRay:
    """A module `ray` whose cluster answers, or not."""

    def __init__(self, error=None, gpus=0):
        self.calls, self._error, self._gpus = [], error, gpus
        self.data = SimpleNamespace(DataContext=SimpleNamespace(get_current=SimpleNamespace))

    def init(self, address, **options):
        self.calls.append(address)
        if self._error:
            raise self._error

    def cluster_resources(self):
        return {"CPU": 2.0, "GPU": self._gpus}

    def nodes(self):
        machines = (4e8, True), (1e9, True), (1e12, False)
        return [{"Alive": alive, "Resources": {"memory": memory}} for memory, alive in machines]

    def shutdown(self):
        self.calls.append("shutdown")


@pytest.fixture
def fake_ray(monkeypatch):
    def install(**options):
        ray = FakeRay(**options)
        monkeypatch.setitem(sys.modules, "ray", ray)
        monkeypatch.setitem(sys.modules, "ray.data", ray.data)
        return ray

    return install


@pytest.mark.parametrize("address", ["127.0.0.1:{port}", "ray://127.0.0.1:{port}", "127.0.0.1:no"])
def test_an_address_that_does_not_answer_is_one_sentence(fake_ray, address):
    ray = fake_ray()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # nothing listens there
        given = address.format(port=free.getsockname()[1])
        with pytest.raises(MobileSamError) as caught:
            connect(given)
    assert str(caught.value).startswith(f"No Ray cluster answers at {given}. Start one with")
    assert ray.calls == []


def test_a_cluster_that_ray_cannot_find_is_one_sentence(fake_ray):
    fake_ray(error=ConnectionError("Could not find any running Ray instance."))
    with pytest.raises(MobileSamError, match="No Ray cluster answers at auto"):
        connect("auto")


def test_the_connection_is_closed_whatever_happens(fake_ray):
    ray = fake_ray()
    with pytest.raises(MobileSamError, match="has no GPU"):  # noqa: SIM117 - which of both
        with ray_runner.ray_runner("", None, False, "bundled", "cuda", commands.Settings()):
            pass
    assert ray.calls == [None, "shutdown"]


@pytest.mark.parametrize(("gpus", "share"), [(0, 0), (2, 0.25)])
def test_actors_have_a_part_of_a_gpu_where_the_cluster_has_any(fake_ray, gpus, share):
    fake_ray(gpus=gpus)
    with ray_runner.ray_runner("", None, False, "bundled", None, commands.Settings()) as runner:
        assert runner._gpus == share
        assert runner._setup.settings.device == ("cuda" if gpus else "cpu")
        assert runner._setup.settings.weights == runner.weights.kind == "bundled"


def test_an_actor_takes_no_more_memory_than_a_machine_has(fake_ray):
    """Ray would wait for such a machine without an end."""
    fake_ray()
    with ray_runner.ray_runner("", None, False, "bundled", "cpu", commands.Settings()) as runner:
        assert runner._bytes == 1e9
