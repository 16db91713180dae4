"""Firefox and WebKitGTK by WebDriver, as far as the demo's driver needs a browser's page.

Nothing is downloaded: the engines and their drivers are Debian's packages.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager

import httpx
import pytest
from playwright.sync_api import TimeoutError

from tests.browser.driver import VIEWPORT, WAIT_MS, Demo
from tests.serving import free_port

WAIT_S = WAIT_MS / 1000
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element in WebDriver's JSON
PNG_END = b"IEND\xaeB`\x82"
CAPABILITIES = {"pageLoadStrategy": "none"}  # do not wait: complaints are listened for at once

# A port that the system chooses; all hosts but this one behind a proxy that does not exist, as the
# tests run offline; and a mouse (2: fine, 4: hover), which it does not find without a screen.
_FIREFOX_PREFERENCES = """
user_pref("marionette.port", 0);
user_pref("network.proxy.type", 1);
user_pref("network.proxy.http", "127.0.0.1");
user_pref("network.proxy.http_port", 9);
user_pref("network.proxy.ssl", "127.0.0.1");
user_pref("network.proxy.ssl_port", 9);
user_pref("ui.primaryPointerCapabilities", 6);
user_pref("ui.allPointerCapabilities", 6);
"""
# False until the page at the address has begun. The script element runs as a script of the page.
_LISTEN = r"""const [url] = arguments;
if (location.href !== url || !document.documentElement) return false;
const script = document.createElement('script');
script.textContent = `{
  window.complaints = [];
  for (const type of ['error', 'unhandledrejection', 'securitypolicyviolation']) {
    addEventListener(type, (event) => {
      complaints.push(type + ': ' + (event.message ?? event.reason ?? event.blockedURI));
    });
  }
  const {error} = console;
  console.error = (...values) => {
    complaints.push('console: ' + values.join(' '));
    error.apply(console, values);
  };
}`;
document.documentElement.append(script);
return true;
"""
_BOX = """const [css, visible] = arguments;
for (const node of document.querySelectorAll(css)) {
  if (visible && !node.checkVisibility()) continue;
  node.scrollIntoView({block: 'nearest'});
  const {x, y, width, height} = node.getBoundingClientRect();
  return {x, y, width, height};
}
throw new Error(`nothing on the page is ${css}`);
"""


def required(program, package):
    """The path of a program; the test is skipped where it is missing."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is missing: apt-get install {package}.")
    return path


def wait_until(condition, what):
    deadline = time.monotonic() + WAIT_S
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {WAIT_S:.0f} s")
        time.sleep(0.02)
    return value


def downloads_of(home):
    """The folder for downloads in a home folder."""
    return home / "Downloads"


def prepare_home(home):
    """Tells the engines, in a new home folder, where downloads go."""
    downloads_of(home).mkdir()
    (home / ".config").mkdir()
    setting = f'XDG_DOWNLOAD_DIR="{downloads_of(home)}"\n'
    (home / ".config" / "user-dirs.dirs").write_text(setting)


@contextmanager
def running(arguments, home, stdout=subprocess.DEVNULL, **env):
    """A process with a home folder of its own, which is ended at the end."""
    folders = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")}
    env = {**os.environ, **folders, **env}
    quiet = subprocess.DEVNULL
    with subprocess.Popen(arguments, env=env, stdout=stdout, stderr=quiet) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


class WebDriverError(Exception):
    """A command has failed."""


class Firefox:
    """A session with a Firefox by its own protocol, Marionette: WebDriver's commands over TCP."""

    def __init__(self, connection):
        self._stream = connection.makefile("rwb")
        self._count = 0
        self._receive()  # the greeting
        self.send("NewSession", **CAPABILITIES)

    def send(self, command, **parameters):
        self._count += 1
        message = json.dumps([0, self._count, f"WebDriver:{command}", parameters]).encode()
        self._stream.write(b"%d:%s" % (len(message), message))
        self._stream.flush()
        _, _, error, reply = self._receive()
        if error:
            raise WebDriverError(f"{command}: {error['message']}")
        return reply.get("value")

    def _receive(self):
        length = b""
        while (digit := self._stream.read(1)) not in (b":", b""):
            length += digit
        return json.loads(self._stream.read(int(length)))


@contextmanager
def firefox(home):
    program = required("firefox-esr", "firefox-esr")
    profile = home / "profile"
    profile.mkdir()
    (profile / "user.js").write_text(_FIREFOX_PREFERENCES)
    port = profile / "MarionetteActivePort"
    flags = ["--headless", "--marionette", "--no-remote"]
    arguments = [program, *flags, "--profile", str(profile)]
    with running(arguments, home):
        wait_until(lambda: port.exists() and port.read_text(), "Firefox's port")
        address = ("127.0.0.1", int(port.read_text()))
        with socket.create_connection(address, WAIT_S) as connection:
            yield Firefox(connection)


WEBKIT_PATHS = {
    "Navigate": "url",
    "SetWindowRect": "window/rect",
    "ExecuteScript": "execute/sync",
    "PerformActions": "actions",
    "ElementSendKeys": "element/{id}/value",
}


class WebKit:
    """A session with a MiniBrowser of WebKitGTK by WebDriver over HTTP."""

    def __init__(self, client):
        self._client = client
        session = self._post("/session", {"capabilities": {"alwaysMatch": CAPABILITIES}})
        self._path = f"/session/{session['sessionId']}"

    def send(self, command, **parameters):
        path = WEBKIT_PATHS[command].format(**parameters)
        return self._post(f"{self._path}/{path}", parameters)

    def close(self):
        self._client.delete(self._path)

    def _post(self, path, parameters):
        reply = self._client.post(path, json=parameters)
        value = reply.json()["value"]
        if reply.is_error:
            raise WebDriverError(f"{path}: {value}")
        return value


@contextmanager
def virtual_screen(home):
    """The number of a screen that nobody sees."""
    size = "{width}x{height}x24".format(**VIEWPORT)
    program = required("Xvfb", "xvfb")
    arguments = [program, "-displayfd", "1", "-screen", "0", size, "-nolisten", "tcp"]
    with running(arguments, home, stdout=subprocess.PIPE) as process:
        yield int(process.stdout.readline())


def answers(client):
    try:
        return client.get("/status").is_success
    except httpx.TransportError:
        return False


@contextmanager
def webkit(home):
    program = required("WebKitWebDriver", "webkit2gtk-driver")
    port = free_port()
    with (
        virtual_screen(home) as screen,
        running([program, f"--port={port}"], home, DISPLAY=f":{screen}"),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WAIT_S) as client,
    ):
        wait_until(lambda: answers(client), "WebKitWebDriver")
        session = WebKit(client)
        try:
            yield session
        finally:
            session.close()


ENGINES = {"firefox": firefox, "webkit": webkit}


class Mouse:
    """Moves and presses as Playwright's mouse does."""

    def __init__(self, session):
        self._session = session

    def _act(self, action):
        pointer = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}}
        self._session.send("PerformActions", actions=[{**pointer, "actions": [action]}])

    def move(self, x, y, steps=1):
        """Moves it at once, or, in many steps, gradually."""
        place = {"x": round(x), "y": round(y), "origin": "viewport"}
        self._act({"type": "pointerMove", "duration": 20 * (steps - 1), **place})

    def down(self):
        self._act({"type": "pointerDown", "button": 0})

    def up(self):
        self._act({"type": "pointerUp", "button": 0})

    def click(self, x, y, button="left"):
        assert button == "left"  # WebKitWebDriver never releases another
        self.move(x, y)
        self.down()
        self.up()


class Locator:
    """The first element of a selector."""

    def __init__(self, page, css, visible=False):
        self._page = page
        self._css = css
        self._visible = visible

    @property
    def first(self):
        return self

    def filter(self, visible):
        return Locator(self._page, self._css, visible)

    def locator(self, css):
        return Locator(self._page, f"{self._css} {css}", self._visible)

    def bounding_box(self):
        return self._page.run(_BOX, self._css, self._visible)

    def click(self):
        box = self.bounding_box()
        self._page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def is_visible(self):
        script = "return document.querySelector(arguments[0]).checkVisibility()"
        return self._page.run(script, self._css)

    def inner_text(self):
        return self._page.run("return document.querySelector(arguments[0]).innerText", self._css)

    def set_input_files(self, path):
        element = self._page.run("return document.querySelector(arguments[0])", self._css)
        self._page.session.send("ElementSendKeys", id=element[ELEMENT], text=path)


class Page:
    """What the smoke tests need of Playwright's page."""

    def __init__(self, session):
        self.session = session
        self.mouse = Mouse(session)
        session.send("SetWindowRect", x=0, y=0, **VIEWPORT)

    def run(self, script, *arguments):
        return self.session.send("ExecuteScript", script=script, args=arguments)

    def goto(self, url):
        """Goes to a page, whose complaints are listened for before it has loaded its scripts."""
        self.session.send("Navigate", url=url)
        wait_until(lambda: self._listens(url), url)

    def _listens(self, url):
        try:
            return self.run(_LISTEN, url)
        except WebDriverError:  # in the last page, which has just been left
            return False

    def evaluate(self, function, argument=None):
        return self.run(f"return ({function})(arguments[0])", argument)

    def wait_for_function(self, function, arg=None):
        return wait_until(lambda: self.evaluate(function, arg), function)

    def wait_for_selector(self, css):
        return self.wait_for_function("(css) => Boolean(document.querySelector(css))", css)

    def locator(self, css):
        return Locator(self, css)


class EngineDemo(Demo):
    """The demo in another engine; its requests are not recorded."""

    def __init__(self, session, home):
        self.page = Page(session)
        self.calls = []
        self._home = home

    @property
    def complaints(self):
        return self.page.evaluate("() => window.complaints")

    def download(self, command):
        self.do(command)
        file = wait_until(lambda: saved_file(downloads_of(self._home)), "the download")
        return file.name, file.read_bytes()


def saved_file(folder):
    """The one PNG that a browser has saved, once it is whole."""
    files = list(folder.glob("*.png"))
    return files[0] if len(files) == 1 and files[0].read_bytes().endswith(PNG_END) else None
