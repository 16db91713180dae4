"""The simulation of visitors against closed forms of queueing theory, and its bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.scaling import (
    CLICK_THREADS,
    CLICKS_PER_PHOTO,
    THINK_S,
    check,
    fitted_to_load,
    grown,
    load_course,
)
from benchmarks.service_times import Service
from benchmarks.simulation import Cores, Queue, Simulation

pytestmark = pytest.mark.slow

EXACT = Service(
    page_s=0,
    request_s=0.01,
    client_s=0.005,
    click_s=0.05,
    click_spread=0,
    beside_encode=1,
    encode_s=1.5,
    first_encode_s=1.5,
    encode_cores=2,
    cores=2,
)


def queue_of(arrivals_per_s, service_times, servers=1):
    """Runs Poisson arrivals; the waiting time of each customer, the queue and the end."""
    simulation, chance = Simulation(), np.random.default_rng(1)
    queue, waits = Queue(simulation, servers), []

    def customer(seconds):
        came = simulation.now
        yield queue.enter()
        waits.append(simulation.now - came)
        yield simulation.sleep(seconds)
        queue.leave()

    def street():
        for seconds in service_times:
            yield simulation.sleep(chance.exponential(1 / arrivals_per_s))
            simulation.start(customer(seconds))

    simulation.start(street())
    simulation.run()
    return np.array(waits), queue, simulation.now


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_the_wait_in_front_of_one_server_is_that_of_m_m_1(load):
    times = np.random.default_rng(2).exponential(1, 60_000)
    waits, _, _ = queue_of(load, times)
    assert waits.mean() == pytest.approx(load / (1 - load), rel=0.08)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_the_wait_for_a_constant_service_is_that_of_m_d_1(load):
    waits, _, _ = queue_of(load, [1.0] * 60_000)
    assert waits.mean() == pytest.approx(load / (2 * (1 - load)), rel=0.08)


def test_two_servers_wait_as_erlang_c_says():
    load = 1.4  # of two
    waits, _, _ = queue_of(load, np.random.default_rng(2).exponential(1, 60_000), servers=2)
    all_busy = load**2 / 2 / (1 - load / 2)
    erlang_c = all_busy / (1 + load + all_busy)
    assert waits.mean() == pytest.approx(erlang_c / (2 - load), rel=0.08)


def test_littles_law_holds_for_those_who_wait_and_those_who_are_served():
    times = np.random.default_rng(2).exponential(1, 5000)
    waits, queue, end = queue_of(0.7, times)
    rate = len(waits) / end
    assert queue.waiting_s / end == pytest.approx(rate * waits.mean())
    assert queue.busy_s / end == pytest.approx(rate * times.mean())


@pytest.mark.parametrize("is_constant", [True, False])
def test_a_shared_core_takes_as_long_as_m_g_1_with_processor_sharing(is_constant):
    """Its mean time depends on the mean of the work alone: 1 / (1 - load)."""
    simulation, chance, load, seconds = Simulation(), np.random.default_rng(3), 0.6, []
    cores = Cores(simulation, 1)

    def task(work):
        came = simulation.now
        yield cores.work(work)
        seconds.append(simulation.now - came)

    def street():
        for _ in range(30_000):
            yield simulation.sleep(chance.exponential(1 / load))
            simulation.start(task(1.0 if is_constant else chance.exponential(1)))

    simulation.start(street())
    simulation.run()
    assert np.mean(seconds) == pytest.approx(1 / (1 - load), rel=0.06)
    assert cores.busy_s / simulation.now == pytest.approx(load, rel=0.03)


@pytest.mark.parametrize(
    ("cores", "tasks", "ends"),
    [
        (1, [(1, 1, 3), (1, 1, 1)], [4 / 3, 2]),
        (2, [(1, 1, 1), (1, 1, 1)], [1, 1]),
        (2, [(1, 1, 1), (3, 2, 1)], [1, 2]),
        (2, [(1, 1, 1), (1, 1, 1), (2, 2, 0.5)], [1.25, 1.25, 2]),
        (2, [(4, 2, 0.66)], [2]),
    ],
)
def test_cores_are_shared_by_weight_up_to_what_a_task_can_use(cores, tasks, ends):
    simulation, found = Simulation(), {}
    shared = Cores(simulation, cores)

    def task(number, seconds, most, weight):
        yield shared.work(seconds, most, weight)
        found[number] = simulation.now

    for number, one in enumerate(tasks):
        simulation.start(task(number, *one))
    simulation.run()
    assert [found[number] for number in range(len(tasks))] == pytest.approx(ends)


def test_one_visitor_waits_for_the_service_and_for_nothing_else():
    row = load_course(EXACT, 1).row()
    assert row["click_p50_ms"] == pytest.approx(65)
    assert row["click_p95_ms"] == pytest.approx(65)
    # The encode begins after the upload, beside the request that asks for it.
    assert row["open_p50_s"] == pytest.approx(0.015 + 1.5, abs=0.02)


def test_photos_beyond_the_bound_are_refused():
    """81 are accepted, of which 8 are of tabs that close at once."""
    stuck = replace(EXACT, request_s=0, client_s=0, encode_s=20, first_encode_s=20)
    course = load_course(stuck, 200)
    assert course.refused == ["open"] * (180 - 73)
    assert len(course.openings) == 73


def test_equal_seeds_give_equal_courses_and_others_do_not():
    service = replace(EXACT, click_spread=0.3)
    assert load_course(service, 10) == load_course(service, 10)
    assert load_course(service, 10) != load_course(service, 10, seed=1)
    assert grown(service, 5, 2, seconds=60) == grown(service, 5, 2, seconds=60)


def test_the_machine_of_a_load_test_is_found_from_its_first_rows():
    doubled = {"request_s": 0.02, "client_s": 0.01, "click_s": 0.1}
    beside = {"beside_encode": 1.8, "encode_s": 2.5, "first_encode_s": 3}
    slow = replace(EXACT, page_s=0.04, **doubled, **beside)
    users = [{"users": 1}, {"users": 10}, {"users": 30}]
    rows = [{**row, "page_p99_s": 0.05} for row in check(slow, users)]
    found = fitted_to_load(EXACT, rows)
    assert found.click_s == pytest.approx(slow.click_s, rel=0.01)
    assert found.encode_s == pytest.approx(slow.encode_s, rel=0.03)
    assert found.beside_encode == pytest.approx(slow.beside_encode, rel=0.1)
    again = check(found, rows)
    for row, guess in zip(rows, again, strict=True):
        for name in ("click_p50_ms", "open_p50_s", "open_p95_s"):
            assert guess[name] == pytest.approx(row[name], rel=0.05)


def test_what_is_used_follows_from_the_rates():
    """The utilization law: the share of the time is the rate times the service time."""
    row = grown(replace(EXACT, client_s=0), visitors=20, machines=2, seconds=2000)
    photos_per_s = row["photos_per_h"] / 3600
    assert row["used"]["encodes"] == pytest.approx(photos_per_s * 1.5 / 2, rel=0.1)
    clicks_per_s = CLICKS_PER_PHOTO * photos_per_s
    at_least = clicks_per_s * 0.05 / 2 / CLICK_THREADS  # more, as cores are shared with encodes
    assert at_least * 0.95 < row["used"]["threads for clicks"] < 1.5 * at_least
    requests_per_s = clicks_per_s + photos_per_s * (1 + row["open_p50_s"])  # upload and polls
    work = photos_per_s * 1.5 * 2 + clicks_per_s * 0.05 + requests_per_s * 0.01
    assert row["cores"] == pytest.approx(work / 2 / 2, rel=0.05)
    cycle_s = CLICKS_PER_PHOTO * (THINK_S + row["click_p50_ms"] / 1000) + row["open_p50_s"]
    assert photos_per_s == pytest.approx(20 / cycle_s, rel=0.1)
    assert row["bottleneck"] == "encodes"


def test_a_shared_cache_takes_the_encodes_of_photos_that_were_seen():
    service = replace(EXACT, client_s=0)
    used = {seen: grown(service, 20, 2, seen, 1000)["used"] for seen in (0, 0.5, 1)}
    assert used[1]["encodes"] < 0.1 * used[0]["encodes"]
    assert used[0.5]["encodes"] == pytest.approx(0.5 * used[0]["encodes"], rel=0.15)


def test_more_visitors_than_embeddings_fit_encode_again():
    quick = {"request_s": 0.0005, "click_s": 0.002, "encode_s": 0.01}
    service = replace(EXACT, client_s=0, **quick)
    few, many = (grown(service, visitors, 1, seconds=200) for visitors in (200, 400))
    assert few["used"]["memory for embeddings"] < 1 < many["used"]["memory for embeddings"]
    per_photo = [row["used"]["encodes"] / row["photos_per_h"] for row in (few, many)]
    assert per_photo[1] > 1.5 * per_photo[0]
