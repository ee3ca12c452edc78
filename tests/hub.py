"""A stand-in for the Hub on loopback: a folder tree served in the Hub's own wire format, for the installed libraries.

    root/models/<org>/<name>/...   root/datasets/<org>/<name>/...

It answers what huggingface_hub 2.4 and datasets 5.2 ask: repository info, tree, paths-info, and resolve by HEAD and GET with
ETag, X-Repo-Commit and, for large files, the redirect with X-Linked-Etag and X-Linked-Size. A repository named in `gated` gives
its files only for `TOKEN`; other answers are those of the real Hub: 401 or 404 RepoNotFound, 404 EntryNotFound.
`requests` keeps every request's method and path, so a test can see what was asked, and that nothing was.

engine/hub.py reads HF_ENDPOINT when it is called; the `datasets` library reads it when it is imported. So tests of models run
in their own process, and tests of data sets start another one with `environment(...)`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import threading
import urllib.parse
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TOKEN = "hf_standInForTestsOnly"
LFS_ENDINGS = (".safetensors", ".bin", ".parquet", ".model")


@dataclass(frozen=True)
class Served:
    """One repository as it lies on disk now."""

    kind: str  # "models" or "datasets"
    id: str
    folder: Path

    @cached_property
    def files(self) -> dict[str, bytes]:
        return {str(one.relative_to(self.folder)): one.read_bytes() for one in sorted(self.folder.rglob("*")) if one.is_file()}

    @cached_property
    def commit(self) -> str:
        told = "".join(f"{name}{hashlib.sha256(content).hexdigest()}" for name, content in self.files.items())
        return hashlib.sha1(told.encode()).hexdigest()

    def card(self) -> dict[str, Any]:
        """The front matter of README.md."""
        import yaml

        text = self.files.get("README.md", b"").decode()
        return yaml.safe_load(text.split("---")[1]) if text.startswith("---") else {}

    def entry(self, name: str) -> dict[str, Any]:
        """A file as the tree tells it."""
        content = self.files[name]
        told: dict[str, Any] = {"type": "file", "path": name, "size": len(content), "oid": blob_id(content)}
        if name.endswith(LFS_ENDINGS):
            told["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
        return told

    def folders(self) -> list[str]:
        return sorted({str(parent) for name in self.files for parent in Path(name).parents if str(parent) != "."})

    def info(self, gated: bool) -> dict[str, Any]:
        siblings = []
        for name in self.files:
            entry = self.entry(name)
            told = {"rfilename": name, "size": entry["size"], "blobId": entry["oid"]}
            if "lfs" in entry:
                told["lfs"] = {"sha256": entry["lfs"]["oid"], "size": entry["size"], "pointerSize": 134}
            siblings.append(told)
        when = "2026-01-02T03:04:05.000Z"
        return {
            "_id": self.commit[:24], "id": self.id, "sha": self.commit, "lastModified": when, "createdAt": when, "private": False,
            "disabled": False, "gated": "manual" if gated else False, "downloads": 1, "likes": 0, "tags": [], "cardData": self.card(),
            "siblings": siblings, **({"modelId": self.id} if self.kind == "models" else {}),
        }  # fmt: skip


def blob_id(content: bytes) -> str:
    """Git's name for this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class _Server(ThreadingHTTPServer):
    """Remembers its connections, so that closing it cuts those that a client keeps open."""

    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        self.open: set[socket.socket] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that went away is no fault


class Hub:
    """The server, started when it is made. `close()` or leaving its `with` ends it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.gated: set[str] = set()
        self.requests: list[str] = []
        self.tokens_at_storage: list[str] = []  # there must be none: storage is another host
        self.break_off = 0  # so many answers with a large file end in the middle
        self._server = _Server(("127.0.0.1", 0), type("Bound", (_Handler,), {"hub": self}))
        port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{port}"
        self.storage_url = f"http://localhost:{port}"  # large files lie on another host, so the token must not go there
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._server.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def served(self, kind: str, repo_id: str) -> Served | None:
        folder = self.root / kind / repo_id
        return Served(kind, repo_id, folder) if folder.is_dir() and ".." not in repo_id else None


def environment(hub_url: str, cache: Path) -> dict[str, str]:
    """The environment of a process that is to take `hub_url` for the Hub, with caches of its own and no token."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING_FACE", "TRANSFORMERS_"))}
    return {
        **kept,
        "HF_ENDPOINT": hub_url,
        "HF_HOME": str(cache),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    }


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._route()

    def do_HEAD(self) -> None:
        self._route()

    def do_POST(self) -> None:
        self._route()

    def _route(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path).strip("/")
        self.hub.requests.append(f"{self.command} /{path}")
        parts = path.split("/")
        if parts[0] == "api" and len(parts) >= 3 and parts[1] in ("models", "datasets"):
            self._api(parts[1], parts[2:], dict(urllib.parse.parse_qsl(url.query)), body)
        elif parts[0] == "lfs":
            self._lfs(parts[1])
        elif "resolve" in parts:
            at = parts.index("resolve")
            kind = "datasets" if parts[0] == "datasets" else "models"
            repo_id = "/".join(parts[1 if kind == "datasets" else 0 : at])
            self._resolve(kind, repo_id, parts[at + 1], "/".join(parts[at + 2 :]))
        else:
            self._refuse(404, None, "Sorry, we can't find the page you are looking for.")

    def _api(self, kind: str, rest: list[str], query: dict[str, str], body: bytes) -> None:
        verbs = ("revision", "tree", "paths-info", "refs")
        at = next((at for at, part in enumerate(rest) if part in verbs), len(rest))
        repo = self._repository(kind, "/".join(rest[:at]))
        if repo is None:
            return
        verb, arguments = (rest[at], rest[at + 1 :]) if at < len(rest) else ("revision", ["main"])
        if verb != "refs" and arguments and arguments[0] not in ("main", repo.commit):
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {arguments[0]}")
            return
        match verb:
            case "revision":
                self._json(repo.info(repo.id in self.hub.gated))
            case "refs":
                self._json(
                    {"branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": repo.commit}], "tags": [], "converts": []}
                )
            case "tree":
                self._tree(repo, "/".join(arguments[1:]), query.get("recursive", "").lower() in ("true", "1"))
            case _:
                told = json.loads(body) if body.startswith(b"{") else urllib.parse.parse_qs(body.decode())
                self._json([one for name in told["paths"] for one in self._entries(repo, name)])

    def _tree(self, repo: Served, folder: str, recursive: bool) -> None:
        below = f"{folder}/" if folder else ""
        names = [*repo.folders(), *repo.files]
        inside = [name for name in names if name.startswith(below) and (recursive or "/" not in name[len(below) :])]
        if folder and folder not in repo.folders():
            self._refuse(404, "EntryNotFound", f"{folder} does not exist on 'main'")
        else:
            self._json([one for name in inside for one in self._entries(repo, name)])

    def _entries(self, repo: Served, name: str) -> list[dict[str, Any]]:
        if name in repo.files:
            return [repo.entry(name)]
        if name in repo.folders():
            return [{"type": "directory", "path": name, "size": 0, "oid": hashlib.sha1(name.encode()).hexdigest()}]
        return []

    def _resolve(self, kind: str, repo_id: str, revision: str, name: str) -> None:
        repo = self._repository(kind, repo_id)
        if repo is None:
            return
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if repo.id in self.hub.gated and token != TOKEN:
            self._refuse(403 if token else 401, "GatedRepo", f"Access to {repo.id} is restricted.")
        elif revision not in ("main", repo.commit):
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif name not in repo.files:
            self._refuse(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": repo.commit})
        else:
            entry = repo.entry(name)
            headers = {"X-Repo-Commit": repo.commit, "Accept-Ranges": "bytes"}
            if "lfs" in entry:
                sum_ = entry["lfs"]["oid"]
                linked = {
                    "X-Linked-Size": str(entry["size"]),
                    "X-Linked-Etag": f'"{sum_}"',
                    "Location": f"{self.hub.storage_url}/lfs/{sum_}",
                }
                self._answer(302, b"Found. Redirecting", {**headers, **linked, "ETag": f'"{entry["oid"]}"'})
            else:
                self._content(repo.files[name], {**headers, "ETag": f'"{entry["oid"]}"'})

    def _lfs(self, sum_: str) -> None:
        if token := self.headers.get("Authorization"):
            self.hub.tokens_at_storage.append(token)
        for path in self.hub.root.rglob("*"):
            if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sum_:
                self._content(path.read_bytes(), {"ETag": f'"{sum_}"', "Accept-Ranges": "bytes"})
                return
        self._refuse(404, None, "Not Found")

    def _content(self, content: bytes, headers: dict[str, str]) -> None:
        """The whole file, or the part that a Range asks for."""
        asked = self.headers.get("Range", "")
        if not asked.startswith("bytes="):
            self._answer(200, content, headers)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(content) - 1), len(content) - 1)
        if start >= len(content):
            self._answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        else:
            self._answer(206, content[start : end + 1], {**headers, "Content-Range": f"bytes {start}-{end}/{len(content)}"})

    def _repository(self, kind: str, repo_id: str) -> Served | None:
        """The repository asked for; None after having answered why not, as the Hub does."""
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token and token != TOKEN and not token.startswith("hf_other"):
            self._refuse(401, None, "Invalid credentials in Authorization header")
            return None
        repo = self.hub.served(kind, repo_id)
        if repo is None:
            self._refuse(404 if token else 401, "RepoNotFound", "Repository not found" if token else "Invalid username or password.")
        return repo

    def _json(self, value: Any) -> None:
        self._answer(200, json.dumps(value).encode(), {"Content-Type": "application/json; charset=utf-8"})

    def _refuse(self, status: int, code: str | None, message: str, headers: dict[str, str] | None = None) -> None:
        told = {
            **({"X-Error-Code": code} if code else {}),
            "X-Error-Message": message,
            "Content-Type": "application/json",
            **(headers or {}),
        }
        self._answer(status, json.dumps({"error": message}).encode(), told)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.break_off and status in (200, 206) and self.path.startswith("/lfs/"):
            self.hub.break_off -= 1
            self.close_connection = True
            body = body[: len(body) // 2]
        self.wfile.write(body)


def serve_imdb(root: Path, rows: int = 40) -> None:
    """A small stanfordnlp/imdb as the Hub keeps it: parquet, ClassLabel neg and pos, train, test and unlabelled rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = root / "datasets" / "stanfordnlp" / "imdb"
    (folder / "plain_text").mkdir(parents=True)
    names = {"neg": ("dull", "bad", "boring", "poorly acted"), "pos": ("great", "moving", "superb", "well acted")}
    features = {
        "text": {"dtype": "string", "_type": "Value"},
        "label": {"names": list(names), "_type": "ClassLabel"},
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    for split in ("train", "test", "unsupervised"):
        texts = []
        labels = []
        for at in range(rows):
            label = at % 2
            word = list(names.values())[label][at // 2 % 4]
            texts.append(f"Review {at} of the {split} part.<br /><br />A {word} film, and the end is {word} too.")
            labels.append(-1 if split == "unsupervised" else label)
        table = pa.table({"text": texts, "label": pa.array(labels, pa.int64())}).replace_schema_metadata(metadata)
        pq.write_table(table, folder / "plain_text" / f"{split}-00000-of-00001.parquet")
    (folder / "README.md").write_text(IMDB_CARD)


IMDB_CARD = """---
language:
- en
license:
- other
pretty_name: IMDB
dataset_info:
  config_name: plain_text
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': neg
          '1': pos
  splits:
  - name: train
    num_bytes: 4000
    num_examples: 40
  - name: test
    num_bytes: 4000
    num_examples: 40
  - name: unsupervised
    num_bytes: 4000
    num_examples: 40
configs:
- config_name: plain_text
  data_files:
  - split: train
    path: plain_text/train-*
  - split: test
    path: plain_text/test-*
  - split: unsupervised
    path: plain_text/unsupervised-*
  default: true
---
# A stand-in for IMDb
"""


def serve_tiny_qwen(root: Path) -> Path:
    """A tiny random Qwen2 under the id Qwen/Qwen1.5-0.5B, with a card."""
    from tests.tiny import tiny

    folder = tiny("qwen2", root / "models" / "Qwen" / "Qwen1.5-0.5B")
    (folder / "README.md").write_text("---\nlicense: other\nlicense_name: tongyi-qianwen-research\nlanguage:\n- en\n---\n# Stand-in\n")
    return folder
