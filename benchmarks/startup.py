"""From the start of a process to its first page and to its model.

Whole processes, in turns with the original's smallest app, whose page comes after its model. The
first turn fills the machine's file cache and is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.serving import MODEL_IS_LOADED, OUR_APP, served_app

APPS = {"original": ("-m", "benchmarks.original_app"), "ours": OUR_APP}
Samples = dict[str, list[float]]


def start_ups(rounds: int, environment: Mapping[str, str]) -> tuple[Samples, Samples]:
    """Starts each app once a round.

    Returns:
        Seconds to the first page, and seconds until page and model are both there.
    """
    to_page: Samples = {name: [] for name in APPS}
    to_model: Samples = {name: [] for name in APPS}
    for turn in range(1 + rounds):
        for name, arguments in APPS.items():
            with served_app(arguments, environment) as app:
                page = app.seconds_to_page()
                model = app.seconds_to_line(MODEL_IS_LOADED) if name == "ours" else page
            if turn:
                to_page[name].append(page)
                to_model[name].append(max(page, model))
    return to_page, to_model
