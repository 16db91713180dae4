"""The simulated users of the load benchmark, on the real app."""

from benchmarks.load import Load
from benchmarks.load_photos import correct_masks, interaction_logs, photo_of
from benchmarks.load_report import load_row
from tests.event_loop import run_async


def test_two_users_at_once_get_all_their_masks(app):
    photos = [photo_of(user) for user in range(2)]
    answers = correct_masks(photos, [interaction_logs(user) for user in range(2)])
    load = Load(photos, answers)
    seconds = run_async(load.run(app.url, 2))
    row = load_row(2, load.samples, seconds)
    assert row["failed"] == row["refused"] == 0
    assert row["clicks"] + row["wrong"] == 20  # the app computes in another precision
    assert row["wrong"] <= 2
