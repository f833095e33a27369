"""A real Chromium without a window, driven over its DevTools protocol: what it shows, says and asks for."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forgediag.testing.websocket import WebSocket

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


def installed() -> str | None:
    """Chromium's path, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """The one page of a browser. `complaints` are what it said on its console, `asked` the addresses it fetched."""

    def __init__(self, socket: WebSocket) -> None:
        """Attach to a page."""
        self._socket = socket
        self._number = 0
        self.complaints: list[str] = []
        self.asked: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """One command of the protocol and its result.

        Raises:
            RuntimeError: the browser refuses it.
        """
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": arguments}))
        while True:
            message: dict[str, Any] = json.loads(self._socket.receive())
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                result: dict[str, Any] = message["result"]
                return result
            self._event(message)

    def _event(self, message: dict[str, Any]) -> None:
        told = message.get("params", {})
        if message.get("method") == "Network.requestWillBeSent":
            self.asked.append(str(told["request"]["url"]))
        elif message.get("method") == "Log.entryAdded":
            self.complaints.append(f"{told['entry']['level']}: {told['entry']['text']}")
        elif message.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"].get("exception", told)))
        elif message.get("method") == "Runtime.consoleAPICalled":
            self.complaints.append(f"console.{told['type']}: {told['args']}")

    def open(self, url: str, *, width: int = 1440, height: int = 1000, dark: bool = False, script: bool = True) -> None:
        """Go to an address on a screen of that size, in that theme, with or without JavaScript; wait until loaded."""
        mobile = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[theme])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, a promise's once it is kept.

        Raises:
            RuntimeError: it throws.
        """
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def wait(self, expression: str, seconds: float = 10.0) -> Any:
        """The value of an expression once it is true.

        Raises:
            TimeoutError: it is not within `seconds`.
        """
        until = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            if time.monotonic() > until:
                raise TimeoutError(f"not within {seconds} s: {expression}")
            time.sleep(0.05)
        return value

    def press(self, key: str, code: int) -> None:
        """Press and let go of a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self, file: Path, *, whole: bool = True) -> None:
        """A picture of the page as PNG, all of it or what the screen shows."""
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=whole, **(self._clip() if whole else {}))
        file.write_bytes(base64.b64decode(answer["data"]))

    def _clip(self) -> dict[str, Any]:
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}


@contextmanager
def chromium(directory: Path, program: str) -> Generator[Page, None, None]:
    """Run a browser with a fresh profile in `directory`; it ends with the block.

    Raises:
        TimeoutError: it does not start within 20 s.
    """
    command = [program, *FLAGS, f"--user-data-dir={directory}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            socket = WebSocket(_page(directory / "DevToolsActivePort"))
            try:
                yield Page(socket)
            finally:
                socket.close()
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def _page(file: Path, seconds: float = 20.0) -> str:
    """The address of the first page's DevTools, once the browser has written its port."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.05)
        if file.exists() and "\n" in (text := file.read_text("utf-8")):
            with urllib.request.urlopen(f"http://127.0.0.1:{text.split()[0]}/json/list", timeout=5) as answer:
                pages = [item for item in json.load(answer) if item["type"] == "page"]
            if pages:
                return str(pages[0]["webSocketDebuggerUrl"])
    raise TimeoutError(f"Chromium has not started within {seconds} s")
