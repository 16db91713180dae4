"""Settings from the environment, with one sentence for an invalid value."""

from __future__ import annotations

import pytest

from mobilesam import ImageLimits, MobileSamError, Settings

NUMBERS = ("MOBILESAM_CACHE_MB", "MOBILESAM_MAX_UPLOAD_MB", "MOBILESAM_MAX_MEGAPIXELS")


def test_an_empty_environment_gives_the_defaults():
    assert Settings.from_env({}) == Settings()


def test_empty_variables_count_as_unset():
    names = (
        *NUMBERS,
        "MOBILESAM_WEIGHTS",
        "MOBILESAM_DEVICE",
        "MOBILESAM_CACHE_URL",
        "MOBILESAM_MCP",
        "MOBILESAM_PREVIEW",
        "MOBILESAM_FRAME_ANCESTORS",
        "GRADIO_SERVER_PORT",
    )
    assert Settings.from_env(dict.fromkeys(names, "")) == Settings()


def test_every_variable_is_read():
    env = {
        "MOBILESAM_WEIGHTS": "bundled",
        "MOBILESAM_DEVICE": "cpu",
        "MOBILESAM_PRECISION": "bfloat16",
        "MOBILESAM_CACHE_MB": "100",
        "MOBILESAM_CACHE_URL": "redis://localhost",
        "MOBILESAM_MAX_UPLOAD_MB": "2.5",
        "MOBILESAM_MAX_MEGAPIXELS": "12",
        "MOBILESAM_MCP": "1",
        "MOBILESAM_METRICS": "1",
        "MOBILESAM_PREVIEW": "0",
        "MOBILESAM_FRAME_ANCESTORS": "https://example.org  http://*.example.org:8080",
        "GRADIO_SERVER_PORT": "8080",
    }
    assert Settings.from_env(env) == Settings(
        weights="bundled",
        device="cpu",
        precision="bfloat16",
        cache_bytes=100_000_000,
        cache_url="redis://localhost",
        mcp=True,
        metrics=True,
        preview=False,
        frame_ancestors="https://example.org http://*.example.org:8080",
        port=8080,
        limits=ImageLimits(max_bytes=2_500_000, max_pixels=12_000_000),
    )


@pytest.mark.parametrize("text", ["0", "65536", "-1", "80.0", "http", "²", "1" * 5000])
def test_what_is_no_port_is_refused(text):
    with pytest.raises(MobileSamError, match=r"GRADIO_SERVER_PORT: .* is not a port from 1"):
        Settings.from_env({"GRADIO_SERVER_PORT": text})


def test_an_unknown_precision_is_refused_with_the_choices():
    with pytest.raises(MobileSamError, match="auto, float32, bfloat16, float16"):
        Settings.from_env({"MOBILESAM_PRECISION": "float8"})


@pytest.mark.parametrize(
    "text",
    ["example.org", "https://a; script-src *", "https://a/path", "'none'", "* https://a", "https://a,b",
     "https://a\r\nX: y", "javascript:x"],
)  # fmt: skip
def test_what_is_no_origin_cannot_get_into_the_content_security_policy(text):
    with pytest.raises(MobileSamError, match=r"origins such as https://example\.org"):
        Settings.from_env({"MOBILESAM_FRAME_ANCESTORS": text})


def test_every_page_may_be_allowed_to_embed_the_demo():
    assert Settings.from_env({"MOBILESAM_FRAME_ANCESTORS": "*"}).frame_ancestors == "*"


def test_the_process_environment_is_read_by_default(monkeypatch):
    monkeypatch.setenv("MOBILESAM_DEVICE", "meta")
    assert Settings.from_env().device == "meta"


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("text", ["0", "-1", "many", "nan", "inf", "1e9", "1,5"])
def test_the_error_names_the_variable_of_an_invalid_number(name, text):
    with pytest.raises(MobileSamError, match=name):
        Settings.from_env({name: text})


@pytest.mark.parametrize("name", ["MOBILESAM_MCP", "MOBILESAM_PREVIEW"])
@pytest.mark.parametrize("text", ["yes", "true", "2", " "])
def test_a_switch_is_one_or_zero(name, text):
    assert not Settings.from_env({"MOBILESAM_MCP": "0"}).mcp
    assert Settings.from_env({"MOBILESAM_PREVIEW": "1"}).preview
    with pytest.raises(MobileSamError, match=f"{name} must be one of "):
        Settings.from_env({name: text})
