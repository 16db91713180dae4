"""Runs nginx with deploy/nginx.conf, changed as docs/hosting.md says."""

import re
import subprocess
import time
from contextlib import contextmanager

import httpx

from tests.serving import ROOT

CONFIGURATION = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
HOSTING = (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8")
PREFIX = "/seg/"
WRITTEN_SERVERS = ("page-1:7860", "page-2:7860")
_START_S = 30


def changed(text, *changes):
    """The text with each (old, new) replaced, of which it has exactly one."""
    for old, new in changes:
        assert text.count(old) == 1, (old, text)
        text = text.replace(old, new)
    return text


def split_configuration(ports):
    """(what is shared, the server block) of the configuration, for two processes at these ports."""
    addresses = [
        (name, f"127.0.0.1:{port}") for name, port in zip(WRITTEN_SERVERS, ports, strict=True)
    ]
    shared, server = re.split(r"^(?=server \{)", changed(CONFIGURATION, *addresses), flags=re.M)
    return shared, server


def below_the_prefix(server, keep=False):
    """The server block for a sub-path, by the lines in the documentation."""
    (lines,) = re.findall(r"^```nginx\n(.*?)^```$", HOSTING, re.MULTILINE | re.DOTALL)
    location, proxy_pass, *added = lines.splitlines()
    assert PREFIX in location
    written = "proxy_pass http://mobilesam;"
    kept = [(proxy_pass.strip(), written)] if keep else []
    return changed(server, ("location / {", location),
                   (written, "\n".join([changed(proxy_pass, *kept), *added])))  # fmt: skip


def tls_before(port, folder):
    """A server block that ends TLS and passes everything on, as a load balancer does."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
         "-days", "2", "-keyout", folder / "key.pem", "-out", folder / "certificate.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return f"""server {{
        listen 80 ssl;
        ssl_certificate {folder}/certificate.pem;
        ssl_certificate_key {folder}/key.pem;
        client_max_body_size 32m;
        location / {{
            proxy_pass http://127.0.0.1:{port};
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-Proto https;
            proxy_buffering off;
        }}
    }}"""


@contextmanager
def running_nginx(folder, shared, servers):
    """nginx with server blocks by port, with its files in `folder`."""
    blocks = [
        re.sub(r"listen 80\b", f"listen 127.0.0.1:{port}", block) for port, block in servers.items()
    ]
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        "daemon off; user root; worker_processes 1;\n"
        f"pid {folder}/pid; error_log {folder}/error.log;\nevents {{}}\n"
        f"http {{ access_log off; {temporary}\n{shared}\n" + "\n".join(blocks) + "\n}\n"
    )
    nginx = subprocess.Popen(["nginx", "-p", folder, "-c", folder / "nginx.conf"])
    try:
        _wait_until_it_answers(nginx, next(iter(servers)))
        yield
    finally:
        nginx.terminate()
        nginx.wait(10)


def _wait_until_it_answers(nginx, port):
    deadline = time.monotonic() + _START_S
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}")
            return
        except httpx.TransportError:
            assert nginx.poll() is None, "nginx has ended"
            assert time.monotonic() < deadline, "nginx does not answer"
            time.sleep(0.05)
