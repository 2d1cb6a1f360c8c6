# SPDX-License-Identifier: BSD-2-Clause
"""The demo page in a real browser: two tabs, an echo and a chat."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request

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

    def is_ready(self):
        try:
            return self.call("GET", "/status")["ready"]
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


if __name__ == "__main__":
    unittest.main()
