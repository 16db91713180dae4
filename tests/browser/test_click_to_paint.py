"""The measurement of a click in the browser, which no other test runs."""

import pytest

from benchmarks.click_to_paint import PROBE, measure


@pytest.mark.slow
def test_a_click_is_measured_until_the_mask_of_the_server_is_painted(new_demo, photo):
    demo = new_demo()
    demo.page.add_init_script(PROBE)
    demo.reload()
    demo.wait_for_model()
    demo.set_preview(True)
    figures = measure(demo.page, photo, clicks=3)
    assert figures["click_to_paint_ms"] > figures["decode_ms"] > 0
    assert figures["requests_per_click"] == 1
    assert figures["sent_bytes_per_click"] > 100
    assert figures["received_bytes_per_click"] > 100
