"""Build the labs that run in the browser alone: a static JupyterLite site, complete and offline.

    python -m tools.lite [OUTPUT]          (make lite; otherwise build/lite/site)

npm brings the Pyodide runtime, pip the pure wheels. The lock file of the runtime is rewritten: it names these
wheels only, beside itself, so that the browser asks no other host for anything. `jupyter lite build` then
puts site, runtime, wheels and notebooks into one folder, which any web server can serve.

It needs npm, the Internet while it builds, and the extra `lite`, in an environment of its own: make lite.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from email.parser import Parser
from pathlib import Path
from typing import Any

from jupyterlite_pyodide_kernel.constants import PYODIDE_VERSION
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "lite"
NOTEBOOKS = ("lite.ipynb", "glossary.ipynb")
"""The notebooks of the site, of `labs/`: those that need no thread, no socket, no numpy."""
KERNELSPEC = {"name": "python", "display_name": "Python (Pyodide)", "language": "python"}
KERNEL = ("ipython", "comm", "micropip", "jedi", "packaging")
"""What the kernel stands on; their versions are those of Pyodide's own lock file, where it has them."""
SHOWN_WITH = ("ipywidgets", "anywidget", "plotly")
"""What our widgets stand on, at the versions of constraints.txt."""
LEFT_OUT = frozenset({"pexpect", "colorama", "psutil", "widgetsnbextension", "jupyterlab-widgets"})
"""Named in a wheel's metadata, and not needed or not possible in a browser, or a part of the site."""
BROWSER = {
    "python_version": "3.14",
    "python_full_version": "3.14.2",
    "sys_platform": "emscripten",
    "platform_system": "Emscripten",
    "os_name": "posix",
    "implementation_name": "cpython",
    "extra": "",
}


NO_RUNTIME = 3
"""Exit status: npm, or its registry, is missing."""


class NoRuntime(RuntimeError):
    """The Pyodide runtime could not be had."""


def build(site: Path) -> None:
    """Write the site; raises `CalledProcessError` if npm, pip or jupyter lite fails (it has said why)."""
    shutil.rmtree(WORK, ignore_errors=True)
    room = WORK / "room"
    runtime = room / "static" / "pyodide"
    runtime.mkdir(parents=True)
    unpack_runtime(runtime)
    lock = json.loads((runtime / "pyodide-lock.json").read_text())
    wheels = fetch_wheels(lock["packages"])
    for wheel in wheels:
        shutil.copy(wheel, runtime)
    lock["packages"] = {entry["name"]: entry for entry in map(lock_entry, wheels)}
    (runtime / "pyodide-lock.json").write_text(json.dumps(lock, indent=1))
    (room / "jupyter-lite.json").write_text(json.dumps(settings(), indent=1))
    copy_notebooks(room / "notebooks")
    run(
        [sys.executable, "-m", "jupyter", "lite", "build", "--lite-dir", str(room),
         "--contents", str(room / "notebooks"), "--output-dir", str(site), "--apps", "lab",
         "--no-unused-shared-packages", "--no-sourcemaps"],
        # It keeps a note there of what it has done: in a folder that is made anew, that is nothing.
        room,
    )


def copy_notebooks(folder: Path) -> None:
    """The notebooks with the browser's kernel named, and without outputs: they are made there."""
    folder.mkdir()
    for name in NOTEBOOKS:
        notebook = json.loads((ROOT / "labs" / name).read_text(encoding="utf-8"))
        notebook["metadata"]["kernelspec"] = KERNELSPEC
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell.update(outputs=[], execution_count=None)
        (folder / name).write_text(json.dumps(notebook), encoding="utf-8")


def unpack_runtime(folder: Path) -> None:
    """The npm package `pyodide`, of the version that the kernel was made for, without its maps and types."""
    try:
        run(["npm", "pack", "--silent", f"pyodide@{PYODIDE_VERSION}", "--pack-destination", str(WORK)])
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoRuntime(
            f"npm did not bring pyodide {PYODIDE_VERSION} ({error}): is npm installed, its registry in reach?"
        ) from error
    with tarfile.open(next(WORK.glob("pyodide-*.tgz"))) as package:
        for member in package.getmembers():
            name, data = Path(member.name).name, package.extractfile(member)
            if data is not None and not name.endswith((".map", ".d.ts", ".html")):
                (folder / name).write_bytes(data.read())


def fetch_wheels(locked: Mapping[str, Any]) -> list[Path]:
    """This package's wheel and all that its notebooks import, every one of them pure Python."""
    folder = WORK / "wheels"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)])
    pinned = pins()
    wanted, known = [*KERNEL, *SHOWN_WITH], {"mqttsec"}
    while wanted:
        name = wanted.pop()
        if name in known | LEFT_OUT:
            continue
        known.add(name)
        version = locked[name]["version"] if name in locked else pinned[name]
        before = set(folder.iterdir())
        run([*pip, "download", "--no-deps", "--only-binary", ":all:", "--platform", "any",
             "--python-version", BROWSER["python_version"], "--dest", str(folder), f"{name}=={version}"])
        (wheel,) = set(folder.iterdir()) - before
        wanted += depends(wheel)
    return sorted(folder.glob("*.whl"))


def pins() -> dict[str, str]:
    """Package to version, as constraints.txt has them for this Python."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==")
        for each in requirements
        if each.marker is None or each.marker.evaluate()
    }


def depends(wheel: Path) -> list[str]:
    """What a wheel needs in a browser, by canonical name; of our own only what the notebooks there import."""
    if wheel.name.startswith("mqttsec-"):
        return list(SHOWN_WITH)
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode("utf-8"))
    needed = []
    for line in metadata.get_all("Requires-Dist", []):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(BROWSER):
            needed.append(canonicalize_name(requirement.name))
    return [name for name in needed if name not in LEFT_OUT]


def lock_entry(wheel: Path) -> dict[str, Any]:
    """What Pyodide's lock file says of a wheel that lies beside it."""
    name, version = wheel.name.split("-")[:2]
    with zipfile.ZipFile(wheel) as archive:
        tops = {path.split("/")[0] for path in archive.namelist()}
    return {
        "name": canonicalize_name(name),
        "version": version,
        "file_name": wheel.name,
        "install_dir": "site",
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "package_type": "package",
        "imports": sorted(top.removesuffix(".py") for top in tops if top.removesuffix(".py").isidentifier()),
        "depends": depends(wheel),
        "unvendored_tests": False,
    }


def settings() -> dict[str, Any]:
    """The site's own settings: nothing is asked of a host elsewhere, ever."""
    return {
        "jupyter-lite-schema-version": 0,
        "jupyter-config-data": {
            "appName": "mqttsec in the browser",
            # For tests and for whoever scripts the page.
            "exposeAppInBrowser": True,
            "disabledExtensions": ["@jupyterlab/apputils-extension:announcements"],
            "litePluginSettings": {
                "@jupyterlite/pyodide-kernel-extension:kernel": {"disablePyPIFallback": True},
            },
        },
    }


def run(command: Sequence[str], folder: Path | None = None) -> None:
    """Run a program, in this folder or another, and let it speak for itself."""
    subprocess.run(command, check=True, cwd=folder)


def main(arguments: Sequence[str]) -> int:
    """0 when the site stands, `NO_RUNTIME` where there is no Pyodide to be had."""
    site = Path(arguments[0]) if arguments else WORK / "site"
    try:
        build(site.resolve())
    except NoRuntime as error:
        print(f"make lite: {error}", file=sys.stderr)
        return NO_RUNTIME
    print(f"Serve it with any web server: python -m http.server --bind 127.0.0.1 --directory {site}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
