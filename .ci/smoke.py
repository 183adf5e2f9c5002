"""Install as a user would (no editing, no development tools, another folder) and run the result.

`make smoke` calls it; it prints what it does and stops at the first thing that fails.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
READY_S = 240
STOP_S = 120
"""Only a failure waits so long: make integration runs beside this."""
sys.path.insert(0, str(ROOT))

from benchmarks.ports import free_port  # noqa: E402


def call(*command: str | Path, folder: Path) -> str:
    """Run to the end, somewhere else than in the checkout; its output, or an exit with it."""
    print("smoke:", *(str(part).replace(str(folder), "…") for part in command), flush=True)
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True
    )
    if done.returncode != 0:
        sys.exit(f"exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def install(folder: Path) -> Path:
    """A fresh environment with only what it runs on; returns its bin folder."""
    call(sys.executable, "-m", "venv", folder / "venv", folder=folder)
    python = folder / "venv" / "bin" / "python"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    pins = [f"-r{ROOT / 'requirements' / name}.txt" for name in ("base", "build")]
    call(*pip, "--require-hashes", *pins, folder=folder)
    call(*pip, "--no-deps", "--no-build-isolation", ROOT, folder=folder)
    return python.parent


def wait_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    """Ask until it answers 200, the server ends, or `READY_S` have passed."""
    print("smoke: waiting for", url, flush=True)
    started, last = time.monotonic(), "no answer"
    while time.monotonic() - started < READY_S and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                if answer.status == 200:
                    return
        except urllib.error.HTTPError as error:
            last = f"{error.code} {error.read(500).decode(errors='replace')}"
        except OSError as error:
            last = str(error)
        time.sleep(0.2)
    sys.exit(f"never ready ({last}); exit code {server.poll()}")


def serve_and_ask(tocsin: Path, config: Path, folder: Path) -> None:
    """Start it, wait until it is ready, list incidents through its API, stop it by SIGTERM."""
    port = free_port()
    data, log = folder / "data", folder / "log"
    command = [tocsin, "run", "--config", config, "--data", data, "--listen", f"127.0.0.1:{port}"]
    print("smoke: tocsin run", flush=True)
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(part) for part in command], cwd=folder, stdout=output, stderr=output
        )
    try:
        wait_ready(f"http://127.0.0.1:{port}/-/ready", server)
        url = f"http://127.0.0.1:{port}"
        print(call(tocsin, "incidents", "list", "--url", url, folder=folder), end="")
        server.send_signal(signal.SIGTERM)
        code = server.wait(STOP_S)
        if code != 0:
            sys.exit(f"stopped by SIGTERM with exit code {code}, wanted 0")
    except BaseException:
        print(log.read_text(errors="replace")[-4000:], file=sys.stderr)
        raise
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()


def main() -> None:
    """All of it, in a temporary folder."""
    # The checkout must not be importable from there.
    os.environ.pop("PYTHONPATH", None)
    with tempfile.TemporaryDirectory(prefix="tocsin-smoke-") as name:
        folder = Path(name)
        binaries = install(folder)
        tocsin = binaries / "tocsin"
        print(call(tocsin, "--version", folder=folder), end="")
        find = "import pipeline, pathlib; print(pathlib.Path(pipeline.__file__).parent)"
        installed = call(binaries / "python", "-c", find, folder=folder).strip()
        config = Path(installed) / "default_config"
        call(tocsin, "check", "--config", config, folder=folder)
        serve_and_ask(tocsin, config, folder)
    print("smoke: good")


if __name__ == "__main__":
    main()
