"""Starts the page: flags or environment variables, a login where others can reach it, then the server.

python app.py [--host HOST] [--port PORT] [--share] [--auth USER:PASSWORD] [--home DIR]
"""

from __future__ import annotations

import argparse
import atexit
import ipaddress
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SPACE_DISK = Path("/data")
LOGIN = "shur"


@dataclass(frozen=True)
class Options:
    """How to run. `reachable`: others than who sits at this machine may reach the page; then `auth` is never None."""

    host: str
    port: int
    share: bool
    auth: tuple[str, str] | None
    home: Path
    reachable: bool = False
    made_password: bool = False


def options(arguments: Sequence[str], environment: Mapping[str, str], space_disk: Path = SPACE_DISK) -> Options:
    """The flags, else the environment variables, else the defaults. Exits with a usage message for what cannot be read."""
    on_space = "SPACE_ID" in environment
    parser = argparse.ArgumentParser(description="Shur: fine-tune language models without code.", allow_abbrev=False)
    parser.add_argument(
        "--host", default=environment.get("SHUR_HOST") or ("0.0.0.0" if on_space else "127.0.0.1"), help="address to listen on"
    )
    parser.add_argument("--port", type=_port, default=environment.get("SHUR_PORT") or "7860", help="port (7860)")
    parser.add_argument("--share", action="store_true", default=_yes(environment.get("SHUR_SHARE")), help="a public link, with a password")
    parser.add_argument(
        "--auth", type=_login, default=environment.get("SHUR_AUTH") or None, metavar="USER:PASSWORD", help="ask for a login"
    )
    parser.add_argument(
        "--home", type=Path, default=environment.get("SHUR_HOME") or None, help="where runs, uploads and caches lie (workspace/)"
    )
    told = parser.parse_args(arguments)
    reachable = told.share or on_space or not _is_loopback(told.host)
    made = reachable and told.auth is None
    auth = (LOGIN, secrets.token_urlsafe(12)) if made else told.auth
    home = told.home or (space_disk / "shur" if on_space and _is_writable(space_disk) else Path("workspace"))
    return Options(told.host, told.port, told.share, auth, home.expanduser().resolve(), reachable, made)


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; a port is a number from 1 to 65535")
    return int(text)


def _login(text: str) -> tuple[str, str]:
    user, _, password = text.partition(":")
    if not user or not password:
        raise argparse.ArgumentTypeError("write it as USER:PASSWORD, neither of them empty")
    return user, password


def _yes(text: str | None) -> bool:
    return (text or "").strip().lower() in ("1", "true", "yes", "on")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_writable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK)


def silence(environment: dict[str, str] | os._Environ[str]) -> None:
    """Nothing phones home: to be called before gradio or huggingface_hub is imported, for both read these once."""
    environment["GRADIO_ANALYTICS_ENABLED"] = "False"
    environment["HF_HUB_DISABLE_TELEMETRY"] = "1"
    environment["DO_NOT_TRACK"] = "1"
    environment["GRADIO_SHARE"] = "False"  # the flag decides, also on Colab


def serve(told: Options, *, dispatch: bool = True) -> None:
    """Runs the page until it is ended. Without `dispatch` nothing that waits is started, for looking around."""
    page_files = Path(tempfile.mkdtemp(prefix="shur-page-"))  # uploads on their way in and files on their way out; nothing else is served
    atexit.register(shutil.rmtree, page_files, ignore_errors=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that a stopped container cleans up like Ctrl-C
    os.environ["GRADIO_TEMP_DIR"] = str(page_files)
    silence(os.environ)

    from engine.studio import Studio
    from ui import review_page, shell

    told.home.mkdir(parents=True, exist_ok=True)
    studio = Studio(told.home, share=told.reachable, dispatch=dispatch, reads_apart=True)
    try:
        page = shell.build(studio, page_files)
        look = shell.launch_options(studio)
        served, _, _ = page.launch(
            server_name=told.host, server_port=told.port, share=told.share, auth=told.auth, prevent_thread_lock=True, **look
        )
        review_page.add(served.router, studio.reviews)
        print(f"Shur listens on http://{told.host}:{told.port} and keeps its runs in {told.home}", flush=True)
        if told.made_password and told.auth:
            print(f"Others can reach this page, so it asks for a login: user {told.auth[0]}, password {told.auth[1]}", flush=True)
            print("To choose your own, set SHUR_AUTH to USER:PASSWORD (on a Space: as a secret).", flush=True)
        page.block_thread()
    finally:
        studio.close()


def main() -> None:
    serve(options(sys.argv[1:], os.environ))


if __name__ == "__main__":
    main()
