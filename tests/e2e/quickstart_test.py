# SPDX-License-Identifier: BSD-2-Clause
"""The demo page in a real browser: two tabs, an echo and a chat."""

import os
import unittest

from support import penstock
from support.browser import AVAILABLE, Browser
from support.penstock import PenstockTestCase

SOURCE = os.path.normpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.normpath(os.path.join(os.path.dirname(penstock.BINARY), ".."))


@unittest.skipUnless(AVAILABLE, "chromium or chromedriver is not installed")
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
