"""Dockerfile, compose.yaml and nginx.conf agree with each other and with the application."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePath

import pytest
import yaml

from deploy.prove_dockerfile import is_sent, read_instructions, read_patterns
from mobilesam.settings import ImageLimits
from mobilesam.web.blocks import launch_options
from tests.serving import ROOT
from tests.unit.test_packaging import EXTRAS
from tests.unit.test_requirements import REQUIREMENTS

INSTRUCTIONS = read_instructions((ROOT / "Dockerfile").read_text())
PATTERNS = read_patterns((ROOT / ".dockerignore").read_text())
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
NGINX = (ROOT / "deploy" / "nginx.conf").read_text()
HOSTING = (ROOT / "docs" / "hosting.md").read_text()
PORT = "7860"


def texts(name: str) -> list[str]:
    return [text for instruction, text in INSTRUCTIONS if instruction == name]


def runs(words: str) -> list[str]:
    return [text for text in texts("RUN") if words in text]


def profile(name: str) -> set[str]:
    return {service for service, spec in SERVICES.items() if name in spec.get("profiles", [])}


def test_one_port_is_listened_to_exposed_checked_and_published():
    environment = " ".join(texts("ENV"))
    assert "GRADIO_SERVER_NAME=0.0.0.0" in environment
    assert f"GRADIO_SERVER_PORT={PORT}" in environment
    assert texts("EXPOSE") == [PORT]
    assert f"127.0.0.1:{PORT}/healthz" in texts("HEALTHCHECK")[0]
    assert SERVICES["page"]["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    assert set(re.findall(r"server [\w-]+:(\d+);", NGINX)) == {PORT}


def test_the_demo_runs_without_rights():
    names = [name for name, _ in INSTRUCTIONS]
    assert texts("USER") == ["1000"]
    assert names.index("USER") > max(at for at, name in enumerate(names) if name in ("RUN", "COPY"))
    assert texts("CMD") == ['["python", "app.py"]']


@pytest.mark.parametrize("source", [word for text in texts("COPY") for word in text.split()[:-1]])
def test_what_is_copied_exists_and_is_sent_to_docker(source):
    found = list(ROOT.glob(source))
    assert found
    assert all(is_sent(path.relative_to(ROOT), PATTERNS) for path in found)


@pytest.mark.parametrize(
    "path",
    [".git/config", ".venv/bin/python", "node_modules/a/b.js", "tests/conftest.py", "docs/api.md",
     "mobilesam/web/__pycache__/app.cpython-312.pyc", "mobilesam/web/page/component.pyi"],
)  # fmt: skip
def test_nothing_else_is_sent_to_docker(path):
    assert not is_sent(PurePath(path), PATTERNS)


def test_torch_comes_first_from_the_index_without_cuda_and_as_required():
    (torch,) = runs("torch==")
    assert 'index-url "$TORCH_INDEX"' in torch
    index = "https://download.pytorch.org/whl/cpu"
    assert f"TORCH_INDEX={index}" in texts("ARG")
    assert f"pip install torch torchvision -c requirements.txt --index-url {index}\n" in HOSTING
    assert texts("RUN").index(torch) < texts("RUN").index(*runs("-r requirements.txt"))
    required = {item.name: item.specifier for item in REQUIREMENTS}
    for name, version in re.findall(r'"(torch\w*)==([\d.]+)\.\*"', torch):
        assert required.pop(name).contains(f"{version}.0")
    assert not [name for name in required if name.startswith("torch")]


def test_packages_come_as_wheels_so_that_the_image_has_no_compiler():
    assert all("--only-binary :all:" in text for text in runs("pip install"))
    assert not runs("apt-get")


def test_the_image_has_what_every_setting_of_the_page_needs():
    (extras,) = [text for text in texts("ARG") if text.startswith("EXTRAS=")]
    assert set(extras.partition("=")[2].strip('"').split()) == set(EXTRAS) - {"train", "ray"}


def test_images_are_pinned_to_a_minor_version():
    images = [*texts("FROM"), SERVICES["nginx"]["image"], SERVICES["valkey"]["image"]]
    assert all(re.search(r":\d+\.\d+-", image) for image in images)


def test_the_image_has_the_python_of_the_space():
    (python,) = re.findall(r"^python:([\d.]+)-slim", texts("FROM")[0])
    assert f'python_version: "{python}"' in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def answering():
    """answering(status): the port of a server that answers every request with it."""
    servers = []

    def serve(status: int) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server.server_port

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.slow
@pytest.mark.parametrize(("status", "is_healthy"), [(200, True), (503, False)])
def test_the_health_check_asks_whether_the_model_is_loaded(answering, status, is_healthy):
    program, *arguments = json.loads(texts("HEALTHCHECK")[0].partition("CMD ")[2])
    arguments[-1] = arguments[-1].replace(PORT, str(answering(status)))
    assert program == "python"
    done = subprocess.run([sys.executable, *arguments], check=False, capture_output=True)
    assert (done.returncode == 0) == is_healthy


def test_the_default_is_one_process_and_the_profile_all_that_serves_many():
    assert set(SERVICES) - profile("many") == {"page"}
    assert profile("many") == {"page-1", "page-2", "nginx", "valkey"}
    assert set(SERVICES["nginx"]["depends_on"]) == set(re.findall(r"server ([\w-]+):", NGINX))
    for name in ("page-1", "page-2"):
        (host,) = SERVICES[name]["depends_on"]
        assert SERVICES[name]["environment"] == {"MOBILESAM_CACHE_URL": f"redis://{host}:6379/0"}


@pytest.mark.parametrize("name", ["page", "page-1", "page-2"])
def test_every_process_keeps_the_weights_and_has_settings_that_are_documented(name):
    cache = f"{next(iter(COMPOSE['volumes']))}:{texts('VOLUME')[0]}"
    assert SERVICES[name]["volumes"] == [cache]
    assert f"HF_HOME={texts('VOLUME')[0]}" in " ".join(texts("ENV"))
    for setting in SERVICES[name].get("environment", {}):
        assert f"| `{setting}` |" in HOSTING


def test_the_shared_cache_is_bounded_and_forgets_what_was_not_used():
    command = " ".join(SERVICES["valkey"]["command"])
    assert re.search(r"--maxmemory \d+[mg]b --maxmemory-policy allkeys-lru ", command)


def test_nginx_gets_the_tested_configuration_and_sends_a_browser_to_one_process():
    (mounted,) = SERVICES["nginx"]["volumes"]
    source, target, mode = mounted.split(":")
    assert (ROOT / source).read_text() == NGINX
    assert (target, mode) == ("/etc/nginx/conf.d/default.conf", "ro")
    (listened,) = re.findall(r"listen (\d+);", NGINX)
    assert SERVICES["nginx"]["ports"][0].endswith(f":{listened}")
    assert "hash $mobilesam_client consistent;" in NGINX


def test_nginx_lets_the_largest_request_of_the_page_pass():
    (megabytes,) = re.findall(r"client_max_body_size (\d+)m;", NGINX)
    security, _ = launch_options(ImageLimits(), [])["app_kwargs"]["middleware"]
    assert int(megabytes) * 2**20 >= security.args[0]
