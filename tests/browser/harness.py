"""A notebook in a real browser: JupyterLab on loopback, headless Chromium, and what a reader does.

    with JupyterServer(folder) as server, notebook_page(browser, server, "01_lab.ipynb") as lab:
        lab.run_all()
        before = lab.picture("svg")
        lab.click("Next")
        lab.wait_until_different("svg", before)
        lab.screenshot("lab01_light.png")
        assert lab.complaints() == []

Everything waits for what it needs (the kernel, the picture, the theme), never for a length of time.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Route

from mqttsec.lab_server import HOST, LabServer

SECONDS = 1000  # Playwright counts in milliseconds
CHROMIUM_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]
SETTINGS = {
    # Without this JupyterLab takes cells that are out of sight out of the page.
    "@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"},
}
PANEL = "[...(window.jupyterapp?.shell.widgets('main') ?? [])].find(widget => widget.context)"
"""JavaScript for the one notebook panel that is open (which is not always the *current* widget)."""
SCREENSHOTS = Path(__file__).resolve().parents[2] / "out" / "screenshots"


class JupyterServer:
    """JupyterLab over a folder, with a home of its own; as context manager it runs."""

    def __init__(self, folder: Path, home: Path) -> None:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = probe.getsockname()[1]
        self.folder = folder
        self._home = home
        self._server = LabServer(folder, port, options=("--expose-app-in-browser",))
        self._process: subprocess.Popen[bytes] | None = None
        self.log = home / "jupyterlab.log"

    def url(self, notebook: str) -> str:
        """The address of one notebook, alone in a workspace that nobody has used."""
        path = f"/lab/workspaces/{uuid.uuid4().hex}/tree/{urllib.parse.quote(notebook)}"
        return f"http://{HOST}:{self._server.port}{path}?token={self._server.token}"

    def __enter__(self) -> JupyterServer:
        for name, value in SETTINGS.items():
            path = self._home / "settings" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(value))
        environment = self._server.environment() | {
            "HOME": str(self._home),
            "IPYTHONDIR": str(self._home / "ipython"),
            "JUPYTER_CONFIG_DIR": str(self._home / "config"),
            "JUPYTER_DATA_DIR": str(self._home / "data"),
            "JUPYTER_RUNTIME_DIR": str(self._home / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(self._home / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self._home / "workspaces"),
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._server.command(), stdout=log, stderr=subprocess.STDOUT, env=environment
            )
        self._wait_until_up()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        # On SIGTERM JupyterLab ends its kernels, then itself.
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait_until_up(self, seconds: float = 60) -> None:
        assert self._process is not None
        deadline = time.monotonic() + seconds
        address = f"http://{HOST}:{self._server.port}/api/status?token={self._server.token}"
        while True:
            try:
                with urllib.request.urlopen(address, timeout=5):
                    return
            except urllib.error.URLError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"JupyterLab does not answer:\n{self.log.read_text()}") from None
                time.sleep(0.1)


class NotebookPage:
    """One notebook, open in the browser."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.console_errors: list[str] = []
        """What the browser's console had to complain about, uncaught exceptions included."""
        self.outside_requests: list[str] = []
        """Addresses beyond this machine that the page asked for (and did not get): none may be."""
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.console_errors.append(f"uncaught: {error}"))
        page.route(lambda url: urllib.parse.urlsplit(url).hostname not in (HOST, None), self._refuse)

    # -- a reader opens and runs ------------------------------------------------------------------

    def open(self, url: str) -> None:
        """Load the notebook and wait until its kernel is idle."""
        self.page.goto(url)
        self.page.wait_for_function(
            f"() => {PANEL}?.sessionContext.session?.kernel?.status === 'idle'", timeout=60 * SECONDS
        )
        self._wait_for_splash_to_go()
        self.page.evaluate("async () => { await window.jupyterapp.restored; }")
        # Commands go to the current widget, which the file browser may be at first.
        self.page.evaluate(f"() => window.jupyterapp.shell.activateById({PANEL}.id)")
        self.page.wait_for_function(f"() => window.jupyterapp.shell.currentWidget === {PANEL}")

    def reload(self) -> None:
        """Save and load the page again, as a reader does; kernel and widgets live on."""
        self.page.evaluate("async () => { await window.jupyterapp.commands.execute('docmanager:save'); }")
        self.page.reload()
        self.page.wait_for_function(
            f"() => {PANEL}?.sessionContext.session?.kernel?.status === 'idle'", timeout=60 * SECONDS
        )
        self._wait_for_splash_to_go()

    def run_all(self, seconds: float = 90) -> None:
        """Run every cell, by command, from a cleared notebook; wait until all have run."""
        self.command("notebook:clear-all-cell-outputs")
        self.command("notebook:run-all-cells")
        self.page.wait_for_function(
            f"""() => {{
                const panel = {PANEL};
                const code = panel.content.widgets.filter(cell => cell.model.type === 'code'
                    && cell.model.sharedModel.getSource().trim());
                return panel.sessionContext.session.kernel.status === 'idle'
                    && code.every(cell => cell.model.executionCount !== null
                        && cell.model.executionState === 'idle');
            }}""",
            timeout=seconds * SECONDS,
        )

    def command(self, name: str, **arguments: object) -> None:
        """Execute one of JupyterLab's commands; menus move, commands stay."""
        self.page.evaluate(
            "([name, args]) => { window.jupyterapp.commands.execute(name, args); }", [name, arguments]
        )

    def errors_in_cells(self) -> list[str]:
        """`ename: evalue` of each cell that ended in an error."""
        found: list[str] = self.page.evaluate(
            f"""() => {PANEL}.content.widgets
                .filter(cell => cell.model.type === 'code')
                .flatMap(cell => cell.model.outputs.toJSON())
                .filter(output => output.output_type === 'error')
                .map(output => output.ename + ': ' + output.evalue)"""
        )
        return found

    def complaints(self) -> list[str]:
        """All that went wrong: in cells, in the console, beyond this machine."""
        return [
            *(f"cell: {error}" for error in self.errors_in_cells()),
            *(f"console: {error}" for error in self.console_errors),
            *(f"outside: {address}" for address in self.outside_requests),
        ]

    # -- a reader looks and touches ---------------------------------------------------------------

    def shown(self, selector: str) -> Locator:
        """The first element in the outputs of the notebook that a CSS selector names."""
        return self.page.locator(f".jp-NotebookPanel:visible .jp-OutputArea-output {selector}").first

    def button(self, name: str, nth: int = 0) -> Locator:
        """A widget's button by its exact text (toolbars have buttons of such names too)."""
        outputs = self.page.locator(".jp-NotebookPanel:visible .jp-OutputArea-output")
        return outputs.get_by_role("button", name=name, exact=True).nth(nth)

    def click(self, name: str, nth: int = 0) -> None:
        """Press a widget's button."""
        self.button(name, nth).click(timeout=15 * SECONDS)

    def click_if_enabled(self, name: str, nth: int = 0) -> None:
        """Press a button that what it ends may have disabled meanwhile: on such a one nothing happens.

        To look first and to press then would be two steps, and it may end between them.
        """
        self.button(name, nth).evaluate("button => button.click()", timeout=15 * SECONDS)

    def slider(self, name: str) -> Locator:
        """The handle of a slider by its accessible name, which a reader without eyes goes by."""
        outputs = self.page.locator(".jp-NotebookPanel:visible .jp-OutputArea-output")
        return outputs.get_by_role("slider", name=name, exact=True).first

    def unnamed_sliders(self) -> int:
        """How many sliders such a reader does not find."""
        return self.page.locator(".jp-OutputArea-output .noUi-handle:not([aria-label])").count()

    def drag_slider(self, name: str, fraction: float, nth: int = 0) -> None:
        """Drag the slider with this description to a place from 0 (left end) to 1 (right end)."""
        slider = self.page.locator(".jp-OutputArea-output .widget-slider").filter(
            has=self.page.locator(".widget-label").get_by_text(name, exact=True)
        ).nth(nth)
        slider.scroll_into_view_if_needed(timeout=15 * SECONDS)
        handle = slider.locator(".noUi-handle").bounding_box()
        track = slider.locator(".noUi-target").bounding_box()
        assert handle is not None and track is not None
        row = track["y"] + track["height"] / 2
        self.page.mouse.move(handle["x"] + handle["width"] / 2, row)
        self.page.mouse.down()
        self.page.mouse.move(track["x"] + track["width"] * fraction, row, steps=8)
        self.page.mouse.up()

    def picture(self, selector: str) -> str:
        """What is inside an element now, as HTML."""
        return self.shown(selector).inner_html(timeout=15 * SECONDS)

    def wait_until_different(self, selector: str, before: str, seconds: float = 15) -> str:
        """Wait until the inside of an element is no longer `before`, and return it."""
        self.shown(selector).wait_for(timeout=seconds * SECONDS)
        deadline = time.monotonic() + seconds
        while True:
            now = self.picture(selector)
            if now != before:
                return now
            assert time.monotonic() < deadline, f"{selector} has not changed in {seconds:g} s: {now[:200]}"
            self.page.wait_for_timeout(20)

    def theme(self, name: str) -> None:
        """Switch to `JupyterLab Light` or `JupyterLab Dark`, and wait until it is there."""
        self.command("apputils:change-theme", theme=name)
        # The body itself has no size, which Playwright calls hidden.
        body = self.page.locator(f"body[data-jp-theme-name='{name}']")
        body.wait_for(state="attached", timeout=15 * SECONDS)
        self._wait_for_splash_to_go()

    def _wait_for_splash_to_go(self) -> None:
        """JupyterLab dims the page with its logo while it loads, and while it changes its theme."""
        self.page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=30 * SECONDS)

    def colour(self, selector: str, what: str = "color") -> tuple[int, ...]:
        """A computed colour of an element as (red, green, blue[, ...])."""
        # Found and read in one step: a widget that is being redrawn replaces its elements, and for a
        # moment there may be none.
        value: str = self.page.wait_for_function(
            f"""([selector, what]) => {{
                const found = {PANEL}?.node.querySelector('.jp-OutputArea-output ' + selector);
                return found?.getClientRects().length ? getComputedStyle(found)[what] : null;
            }}""",
            arg=[selector, what], timeout=15 * SECONDS,
        ).json_value()  # fmt: skip
        return tuple(int(float(part)) for part in value[value.index("(") + 1 : -1].split(","))

    def wait_for_colour(
        self, selector: str, what: str, right: Callable[[tuple[int, ...]], bool], seconds: float = 15
    ) -> None:
        """Wait until an element that is drawn anew has a colour that is right."""
        deadline = time.monotonic() + seconds
        while not right(self.colour(selector, what)):
            assert time.monotonic() < deadline, f"{selector} is {self.colour(selector, what)}"
            self.page.wait_for_timeout(20)

    def screenshot(self, name: str, selector: str | None = None) -> Path:
        """Keep a picture of the page, or of one element, in out/screenshots."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / name
        if selector is None:
            self.page.screenshot(path=path)
        else:
            self.shown(selector).screenshot(path=path)
        return path

    # -- what the page does -----------------------------------------------------------------------

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            place: Any = message.location
            self.console_errors.append(f"{message.text} ({place.get('url', '')})")

    def _refuse(self, route: Route) -> None:
        self.outside_requests.append(route.request.url)
        route.abort()


@contextlib.contextmanager
def notebook_page(browser: Browser, server: JupyterServer, notebook: str) -> Iterator[NotebookPage]:
    """Open a notebook in a browser context of its own; ends its kernel afterwards."""
    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    context.set_default_timeout(30 * SECONDS)
    try:
        page = NotebookPage(context.new_page())
        page.open(server.url(notebook))
        yield page
        page.page.evaluate(f"() => {PANEL}.sessionContext.shutdown()")
    finally:
        context.close()
