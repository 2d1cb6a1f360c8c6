# SPDX-License-Identifier: BSD-2-Clause
"""A headless Chromium, by the WebDriver protocol."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request

from .penstock import free_port, wait_for

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
AVAILABLE = CHROMIUM and DRIVER
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

    def wait_for_script(self, expression):
        """What the promise that this makes comes to."""
        self.call("POST", "/timeouts", {"script": 60000})
        return self.call("POST", "/execute/async", {
            "script": "const done = arguments[0];"
            f"({expression}).then(done, (e) => done(String(e)));",
            "args": [],
        })

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
