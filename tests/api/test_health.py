"""/healthz of the application: while the model loads, when it is loaded, and under load."""

from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.page import visiting
from tests.serving import running_app

USERS = 45  # more than the 40 threads in which Gradio handles requests


def test_it_replies_while_the_model_loads_and_all_threads_may_be_busy():
    with running_app() as app, ThreadPoolExecutor(USERS) as users, visiting(app.url) as page:
        asked = [users.submit(page.post, "model_info", {}) for _ in range(USERS)]
        first = httpx.get(f"{app.url}healthz")
        assert first.status_code == 503
        assert first.json().keys() == {"status", "version", "uptime_s", "open_photos"}
        assert first.json()["status"] == "loading"
        assert first.headers["cache-control"] == "no-store"
        told = [reply.result().json()["weights"] for reply in asked]
        then = httpx.get(f"{app.url}healthz")
        assert then.status_code == 200
        assert then.json()["status"] == "ready"
        assert {then.json()["weights"]} == set(told) == {"bundled"}
        # Not without MOBILESAM_MCP and MOBILESAM_METRICS.
        for path in ("gradio_api/mcp/", "gradio_api/mcp/schema", "metrics"):
            assert httpx.get(f"{app.url}{path}").status_code == 404


def test_it_counts_photos_and_the_cache(page, http, token, open_photo, photo, tmp_path):
    before = http.get("healthz").json()
    other = tmp_path / "other.png"
    other.write_bytes(photo.read_bytes() + b"\0")  # the same pixels, another file
    for path in (photo, other):
        assert open_photo(page.upload(path))["ok"]
    after = http.get("healthz").json()
    assert after["open_photos"] == before["open_photos"] + 2
    kept, kept_before = after["cache"], before["cache"]
    assert kept.keys() == {"hits", "misses", "entries", "bytes", "max_bytes"}
    seen = kept["hits"] + kept["misses"] - kept_before["hits"] - kept_before["misses"]
    assert seen == 2
    assert kept["hits"] > kept_before["hits"]
    assert 0 < kept["bytes"] <= kept["max_bytes"] == 512_000_000
    assert (after["device"], after["version"]) == ("cpu", "0.1.0")
    assert after["modules"].startswith("fast")
