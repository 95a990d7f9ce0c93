# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, spoken to over a pipe in the Chrome DevTools Protocol: what a page does, logs and asks for."""

import base64
import io
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_PATIENCE_S = 120.0


class Page:
    """One tab. `errors`: what went to the console as an error, or was thrown; `requests`: each address asked for."""

    def __init__(self, commands: io.FileIO, answers: io.BufferedReader):
        self._commands = commands
        self._answers = answers
        self._said = b""
        self._numbers = itertools.count(1)
        self._session = ""
        self.errors: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def open(self, address: str, width: int = 1440, height: int = 900, *, dark: bool = False) -> None:
        """Go to an address in a window of this size, and wait until the page says that it is ready."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Page.navigate", url=address)
        self.until("document.documentElement?.dataset.ready === 'yes'")

    def until(self, expression: str) -> None:
        """Wait until a JavaScript expression is true."""
        ends_s = time.monotonic() + _PATIENCE_S
        while not self.value(expression):
            if time.monotonic() > ends_s:
                raise TimeoutError(f"{expression} did not become true; errors: {self.errors}")
            time.sleep(0.02)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression, or the promise that it is, comes to."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def screenshot(self, path: Path, *, whole: bool = True, clip: dict[str, float] | None = None) -> None:
        """Write what the page looks like as PNG."""
        part = {"clip": {**clip, "scale": 1}} if clip else {}
        shot = self.call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=whole or clip is not None, **part
        )
        path.write_bytes(base64.b64decode(shot["data"]))

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a command of the protocol; what happens meanwhile is noted."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        while True:
            said = self._read()
            if said.get("id") == number:
                if "error" in said:
                    raise RuntimeError(f"{method}: {said['error']}")
                return dict(said["result"])
            self._note(said.get("method", ""), said.get("params", {}))

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._said:
            words = self._answers.read1(1 << 16)
            if not words:
                raise EOFError("Chromium has gone")
            self._said += words
        first, _, self._said = self._said.partition(b"\0")
        return dict(json.loads(first))

    def _note(self, method: str, parameters: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(parameters["exceptionDetails"])[:500])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "assert", "warning"):
            self.errors.append(json.dumps(parameters["args"])[:500])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.errors.append(json.dumps(parameters["entry"])[:500])
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])


@contextmanager
def chromium() -> Iterator[Page]:
    """A tab of a browser with a profile of its own, which ends with it."""
    assert CHROMIUM is not None
    to_it, from_it = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
            *("--no-first-run", "--disable-background-networking", f"--user-data-dir={profile}"),
            *("--remote-debugging-pipe", "about:blank"),
        ]

        def become() -> None:  # Chromium reads commands from descriptor 3 and answers to 4
            low, high = os.dup(to_it[0]), os.dup(from_it[1])
            os.dup2(low, 3)
            os.dup2(high, 4)

        process = subprocess.Popen(
            command,
            preexec_fn=become,  # noqa: PLW1509  (no other thread here)
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_it[0])
        os.close(from_it[1])
        commands, answers = os.fdopen(to_it[1], "wb", buffering=0), os.fdopen(from_it[0], "rb")
        try:
            yield Page(commands, answers)
        finally:
            commands.close()
            answers.close()
            process.terminate()
            process.wait(30)
