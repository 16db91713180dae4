"""/healthz of the real app: while the model loads, when it is there, and under load."""

from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.serving import running_app

VISITORS = 45  # Gradio answers them in 40 threads


def test_it_answers_at_once_while_the_model_loads_and_visitors_hold_every_thread():
    with running_app() as app, ThreadPoolExecutor(VISITORS) as visitors:
        about = {"component_id": _canvas(app), "fn_name": "about", "session_hash": "a", "data": {}}
        url = f"{app.url}gradio_api/component_server"
        asked = [visitors.submit(httpx.post, url, json=about, timeout=60) for _ in range(VISITORS)]
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
        for path in ("gradio_api/mcp/", "gradio_api/mcp/schema"):  # not without MOBILESAM_MCP
            assert httpx.get(f"{app.url}{path}").status_code == 404


def test_it_counts_photos_and_the_cache(page, http, token, open_photo, photo, tmp_path):
    before = http.get("healthz").json()
    other = tmp_path / "other.png"
    other.write_bytes(photo.read_bytes() + b"\0")  # the same pixels, another file
    for path in (photo, other):
        assert open_photo(page.upload(path))["success"]
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


def _canvas(app):
    config = httpx.get(f"{app.url}config").json()
    (canvas,) = [
        one["id"] for one in config["components"] if one["props"].get("elem_id") == "prompt-canvas"
    ]
    return canvas
