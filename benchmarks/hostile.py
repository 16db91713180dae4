"""What bad files cost the running demo: `make hostile`.

Every file of `tests/bombs.py` goes through upload and the page's `photo` event. The time is that of
both together, with the encode of what is opened; the memory is what the process held at most above
what it held before the file. Linux only.
"""

from __future__ import annotations

import argparse
import json
import time
import uuid
from pathlib import Path

import httpx

from benchmarks.machine import machine
from benchmarks.serving import MODEL_IS_LOADED, ServedApp, served_app
from tests.bad_files import BadFile
from tests.bombs import KINDS, big_photos
from tests.decoder_memory import resident_mb
from tests.page import events, find


def fault(http: httpx.Client, event: dict, file: BadFile) -> str | None:
    """Sends the file; what was wrong with the answer."""
    upload = http.post("gradio_api/upload", files={"files": ("photo.jpg", file.data)})
    if upload.status_code != 200:
        return None if upload.status_code < 500 and not file.must_open else upload.text
    photo = {"path": upload.json()[0], "meta": {"_type": "gradio.FileData"}}
    session = uuid.uuid4().hex
    body = {"data": [{"photo": photo, "ticket": 1}], "fn_index": event["id"],
            "session_hash": session, "event_data": {}}  # fmt: skip
    http.post("gradio_api/queue/join", json=body).raise_for_status()
    output = list(events(http, session))[-1]["output"]
    ok, error = (find(output.get("data"), key) for key in ("ok", "error"))
    if ok is None or "went wrong" in str(error):
        return f"no reply: {output}"[:200]
    if (ok and file.must_fail) or (not ok and file.must_open):
        return "opened" if ok else str(error)
    return None


def measure(app: ServedApp, kinds: list[str]) -> dict:
    """Sends the files; how many, how many were mishandled, and which cost most."""
    rows = []
    with httpx.Client(base_url=app.address, timeout=300) as http:
        targets = http.get("config").json()["dependencies"]
        (event,) = (one for one in targets if one["targets"] and one["targets"][0][1] == "photo")
        for kind in kinds:
            for file in {**KINDS, "big photos": big_photos}[kind]():
                Path(f"/proc/{app.process_id}/clear_refs").write_text("5", encoding="ascii")
                before, started = resident_mb("VmRSS", app.process_id), time.perf_counter()
                wrong = fault(http, event, file)
                seconds = time.perf_counter() - started
                peak = resident_mb("VmHWM", app.process_id) - before
                rows.append((seconds, peak, file.name))
                if wrong:
                    print(f"{file.name}: {wrong}")
                    rows[-1] += (wrong,)
    return {
        "files": len(rows),
        "mishandled": sum(len(row) > 3 for row in rows),
        "slowest": [f"{name}: {seconds:.2f} s" for seconds, _, name, *_ in sorted(rows)[-3:]],
        "largest": [f"{row[2]}: {row[1]:.0f} MB" for row in sorted(rows, key=lambda r: r[1])[-3:]],
    }  # fmt: skip


def main() -> None:
    every = [*KINDS, "big photos"]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kinds", nargs="+", choices=every, default=every)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    with served_app() as app:
        app.seconds_to_line(MODEL_IS_LOADED)
        figures = {"machine": machine(), **measure(app, arguments.kinds)}
    print(json.dumps(figures, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
