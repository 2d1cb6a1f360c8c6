# SPDX-License-Identifier: BSD-2-Clause
<<<<<<< HEAD
"""The demo page in a real browser: two tabs, an echo and a chat."""

import json
import os
import re
import shutil
import signal
=======
"""The demo page in a real browser: two tabs that chat.

Chromium is driven through chromedriver's WebDriver protocol, which is JSON
over HTTP (W3C WebDriver, sections 8 to 13)."""

import json
import os
import shutil
>>>>>>> 148c79c (e2e: two tabs of the demo chat in a real browser)
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request

<<<<<<< HEAD
from support import penstock
from support.penstock import PenstockTestCase, free_port, wait_for

SOURCE = os.path.normpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.normpath(os.path.join(os.path.dirname(penstock.BINARY), ".."))
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # W3C WebDriver's key

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage", "--window-size=1000,800",
)


class Browser:
    """What we use of the WebDriver protocol."""

    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="chromium-")
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.driver = subprocess.Popen(
            [DRIVER, f"--port={port}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "HOME": self.home},
        )
        try:
            wait_for("chromedriver", self.is_ready)
            session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "goog:chromeOptions": {
                    "binary": CHROMIUM,
                    "args": [*FLAGS, f"--user-data-dir={self.home}/data"],
                },
            }}})
            self.base += "/session/" + session["sessionId"]
        except BaseException:
            self.stop()
            raise
=======
from support.penstock import BINARY, PenstockTestCase, free_port, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.dirname(os.path.dirname(os.path.abspath(BINARY)))
FLAGS = ["--headless", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage"]
ENTER = "\ue007"


class Browser:
    """One session of one chromedriver."""

    def __init__(self, directory):
        self.port = free_port()
        self.driver = subprocess.Popen(["chromedriver", f"--port={self.port}"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.session = None
        wait_for("chromedriver", self.is_ready)
        flags = FLAGS + [f"--user-data-dir={directory}"]
        if os.getuid() == 0:
            flags.append("--no-sandbox")  # Chromium refuses root otherwise
        made = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": flags}}}})
        self.session = made["sessionId"]
>>>>>>> 148c79c (e2e: two tabs of the demo chat in a real browser)

    def is_ready(self):
        try:
            return self.call("GET", "/status")["ready"]
<<<<<<< HEAD
        except OSError:
            return False

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        ask = urllib.request.Request(
            self.base + path, data, {"Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(ask, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as e:
            raise AssertionError(e.read().decode()) from None

    def tab(self, url):
        """A new tab with this page; the one that is driven from now on."""
        handle = self.call("POST", "/window/new", {"type": "tab"})["handle"]
        self.turn_to(handle)
        self.call("POST", "/url", {"url": url})
        return handle

    def turn_to(self, handle):
        self.call("POST", "/window", {"handle": handle})

    def find(self, selector):
        return self.call("POST", "/element", {
            "using": "css selector", "value": selector})[ELEMENT]

    def text(self, selector):
        return self.call("GET", f"/element/{self.find(selector)}/text")

    def type(self, selector, text):
        self.call("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def press(self, selector):
        self.call("POST", f"/element/{self.find(selector)}/click", {})

    def run(self, script):
        return self.call("POST", "/execute/sync", {"script": script, "args": []})

    def wait_for_text(self, selector, pattern):
        try:
            return wait_for(
                f"{pattern!r} in {selector}",
                lambda: re.search(pattern, self.text(selector)),
            )
        except AssertionError as e:
            raise AssertionError(f"{e}; it says {self.text(selector)!r}") from None

    def stop(self):
        try:
            if "/session/" in self.base:
                self.call("DELETE", "")
        finally:
            os.killpg(self.driver.pid, signal.SIGTERM)
            self.driver.wait()
            shutil.rmtree(self.home, ignore_errors=True)


@unittest.skipUnless(
    CHROMIUM and DRIVER, "chromium or chromedriver is not installed"
)
class QuickstartTest(PenstockTestCase):
    def start_demo(self):
        with open(os.path.join(SOURCE, "conf/quickstart.conf")) as f:
            text = f.read()
        for old, new in (
            ("listen 8080;", "listen 127.0.0.1:@PORT@;"),
            ("include mime.types;", f"include {SOURCE}/conf/mime.types;"),
            ("root contrib/demo;", f"root {SOURCE}/contrib/demo;"),
            ("build/contrib/", f"{BUILD}/contrib/"),
            ("build/quickstart/penstock.pid", "logs/penstock.pid"),
            ("build/quickstart/", ""),
            ("daemon off;", ""),
            ("error_log stderr notice;", "error_log logs/error.log info;"),
        ):
            self.assertIn(old, text)
            text = text.replace(old, new)
        if os.geteuid() == 0:  # the checkout may be ours alone
            text = "user root;\n" + text
        return self.penstock(text)

    def test_two_tabs(self):
        p = self.start_demo()
        browser = Browser()
        self.addCleanup(browser.stop)
        first = browser.tab(p.url())
        browser.wait_for_text("#echo-state", "^connected$")
        browser.wait_for_text("#chat-state", "^connected$")
        second = browser.tab(p.url())
        browser.wait_for_text("#chat-state", "^connected$")
        browser.wait_for_text("#online", "^2$")

        browser.wait_for_text("#echo-state", "^connected$")
        browser.type("#echo-text", "hello, echo")
        browser.press("#echo-form button")
        browser.wait_for_text("#echo-log", r"ms\s*hello, echo")

        browser.type("#chat-text", "from the second <tab> \u00e9\ue007")
        browser.wait_for_text("#chat-log", "from the second <tab> \u00e9")
        browser.turn_to(first)
        browser.wait_for_text("#online", "^2$")
        browser.wait_for_text("#chat-log", "from the second <tab> \u00e9")
        browser.type("#chat-text", "from the first")
        browser.press("#chat-form button")
        browser.turn_to(second)
        browser.wait_for_text("#chat-log", "from the first")
        self.pictures(browser)

        browser.call("DELETE", "/window")  # the second tab closes
        browser.turn_to(first)
        browser.wait_for_text("#online", "^1$")

    def pictures(self, browser):
        """For people: PICTURES names a directory for screenshots."""
        directory = os.environ.get("PICTURES")
        for scheme in ("light", "dark") if directory else ():
            browser.call("POST", "/goog/cdp/execute", {
                "cmd": "Emulation.setEmulatedMedia",
                "params": {"features": [
                    {"name": "prefers-color-scheme", "value": scheme}]},
            })
            shot = browser.call("POST", "/goog/cdp/execute", {
                "cmd": "Page.captureScreenshot", "params": {}})["data"]
            with open(os.path.join(directory, scheme + ".png.base64"), "w") as f:
                f.write(shot)
=======
        except (urllib.error.URLError, ConnectionError):
            return False

    def call(self, method, path, body=None):
        prefix = f"/session/{self.session}" if self.session else ""
        data = json.dumps(body if body is not None else {}).encode() if method == "POST" else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{prefix}{path}", data=data,
                                         method=method, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open_tab(self, url):
        handle = self.call("POST", "/window/new", {"type": "tab"})["handle"]
        self.switch(handle)
        self.call("POST", "/url", {"url": url})
        return handle

    def switch(self, handle):
        self.call("POST", "/window", {"handle": handle})

    def text(self, selector):
        return self.call("POST", "/execute/sync", {
            "script": "return document.querySelector(arguments[0]).textContent",
            "args": [selector]})

    def type(self, selector, text):
        element = self.call("POST", "/element", {"using": "css selector", "value": selector})
        self.call("POST", f"/element/{next(iter(element.values()))}/value", {"text": text})

    def close(self):
        try:
            if self.session:
                self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(20)


@unittest.skipUnless(shutil.which("chromedriver"), "chromedriver is not installed")
class QuickstartTest(PenstockTestCase):
    def start_demo(self):
        with open(f"{ROOT}/conf/quickstart.conf") as f:
            config = f.read()
        config = (config.replace("listen 8080;", "listen 127.0.0.1:@PORT@;")
                  .replace("daemon off;", "env ASAN_OPTIONS;")
                  .replace("error_log stderr notice;", "")
                  .replace("build/quickstart/penstock.pid", "logs/penstock.pid")
                  .replace("build/quickstart/", "")
                  .replace("include mime.types;", f"include {ROOT}/conf/mime.types;")
                  .replace("spawn build/", f"spawn {BUILD}/")
                  .replace("root contrib/demo;", f"root {ROOT}/contrib/demo;"))
        return self.penstock(config)

    def browser(self):
        directory = tempfile.mkdtemp(prefix="penstock-chromium-")
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        browser = Browser(directory)
        self.addCleanup(browser.close)
        return browser

    def test_two_tabs_echo_chat_and_count(self):
        p = self.start_demo()
        browser = self.browser()
        one = browser.open_tab(p.url("/"))
        two = browser.open_tab(p.url("/"))

        wait_for("the second tab to be connected",
                 lambda: browser.text("#chat-state") == "connected" and
                 browser.text("#echo-state") == "connected")
        wait_for("the counter to say two", lambda: browser.text("#online") == "2")

        browser.type("#echo-text", "hello <b>gateway</b>" + ENTER)
        wait_for("the echo", lambda: "hello <b>gateway</b>" in browser.text("#echo-log"))

        browser.type("#chat-text", "from the second tab" + ENTER)
        wait_for("the line in its own tab",
                 lambda: "from the second tab" in browser.text("#chat-log"))
        browser.switch(one)
        wait_for("the line in the first tab",
                 lambda: "from the second tab" in browser.text("#chat-log"))
        browser.type("#chat-text", "and back \u2713" + ENTER)
        browser.switch(two)
        wait_for("the answer", lambda: "and back \u2713" in browser.text("#chat-log"))

        browser.call("DELETE", "/window")  # the second tab is closed
        browser.switch(one)
        wait_for("the counter to say one", lambda: browser.text("#online") == "1")
        if os.environ.get("SCREENSHOT"):
            import base64
            with open(os.environ["SCREENSHOT"], "wb") as f:
                f.write(base64.b64decode(browser.call("GET", "/screenshot")))
>>>>>>> 148c79c (e2e: two tabs of the demo chat in a real browser)


if __name__ == "__main__":
    unittest.main()
