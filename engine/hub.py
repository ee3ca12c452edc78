"""A model repository on the Hub: what it holds, and its files on disk. Every way that this can fail is told in words.

A file already in this home's cache or in the machine's own Hub cache is not fetched again; without a network a repository
that was fetched before is found there. The token is passed on to the Hub and kept nowhere.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from engine.errors import Problem, Refused, redact
from engine.store import write_whole

MODEL_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
DATASETS_CACHE = "HF_DATASETS_CACHE"  # the environment variable of the `datasets` library
COMMIT = re.compile(r"[0-9a-f]{40}")
ANSWER_SECONDS = 15.0  # that the Hub may take to answer before we say that it cannot be reached
Said = Callable[[str, int, int], None]  # (message, bytes done, bytes in all)


@dataclass(frozen=True)
class Repository:
    """One commit of a model repository. `files` maps each path to its bytes (0: not known)."""

    id: str
    commit: str
    files: dict[str, int]
    licence: str | None = None
    languages: tuple[str, ...] = ()
    offline: bool = False  # the Hub did not answer: this is what is known from before


def keep_caches_in(home: Path) -> None:
    """Has data sets of the Hub kept in HOME/cache/datasets, so that --home holds all that Shur makes and deleting it frees the space.

    To be called before the `datasets` library is imported, which reads its setting once. The files as they were fetched lie in the
    machine's own Hub cache (HF_HUB_CACHE, usually ~/.cache/huggingface/hub), which other tools share; that one is left as it is.
    """
    os.environ[DATASETS_CACHE] = str(datasets_cache(home))


def datasets_cache(home: Path) -> Path:
    return home.absolute() / "cache" / "datasets"


def repository(model_id: str, *, revision: str | None, token: str | None, home: Path) -> Repository:
    """The repository at its newest commit, or at `revision`. Raises Refused: unknown, or no network and nothing cached."""
    from huggingface_hub import HfApi

    if not MODEL_ID.fullmatch(model_id) or ".." in model_id or "--" in model_id:
        raise Refused(
            Problem(
                "model",
                f"{model_id[:80]!r} is neither a folder here nor the id of a model on the Hub.",
                "Write an id as the Hub shows it, such as distilbert/distilbert-base-uncased, or the path of a folder.",
            )
        )
    if revision and COMMIT.fullmatch(revision) and (known := _listing(model_id, revision, home)):
        return known  # a commit never changes: no need to ask
    api = HfApi(endpoint=_endpoint(), token=token or False)
    try:
        with told(model_id, token):
            info = api.model_info(model_id, revision=revision, files_metadata=True, timeout=ANSWER_SECONDS)
    except Unreachable:
        if known := _listing(model_id, revision, home) or _scanned(model_id, revision):
            return replace(known, offline=True)
        raise
    card = info.card_data.to_dict() if info.card_data else {}
    languages = card.get("language") or ()
    licence = card.get("license_name") or card.get("license")
    found = Repository(
        id=model_id,
        commit=info.sha or "main",
        files={one.rfilename: one.size or 0 for one in info.siblings or ()},
        licence=str(licence) if licence else None,
        languages=(languages,) if isinstance(languages, str) else tuple(str(one) for one in languages),
    )
    path = _listing_path(model_id, found.commit, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(asdict(found), ensure_ascii=False).encode())
    return found


def download(repo: Repository, names: Iterable[str], *, token: str | None, home: Path, say: Said) -> Path:
    """The folder that holds these files of the repository, whole; fetches those that are missing. Raises Refused."""
    from huggingface_hub import hf_hub_download

    names = tuple(names)
    if (folder := present(repo, names, home)) is not None:
        return folder
    total = sum(repo.files.get(name, 0) for name in names)
    done = 0
    path = Path()
    with told(repo.id, token):
        for name in names:
            path = Path(
                hf_hub_download(
                    repo.id, name, revision=repo.commit, cache_dir=_own_cache(home), token=token or False, endpoint=_endpoint(),
                    etag_timeout=ANSWER_SECONDS, tqdm_class=_meter(f"Fetching {repo.id}", say, done, total),
                )
            )  # fmt: skip
            done += repo.files.get(name, 0)
            say(f"Fetching {repo.id}", done, total)
    return path.parents[names[-1].count("/")]


def present(repo: Repository, names: Iterable[str], home: Path) -> Path | None:
    """The cache folder that already holds all of these files, or None."""
    names = tuple(names)
    for cache in _caches(home):
        folder = _snapshots(cache, repo.id) / repo.commit
        if all((folder / name).exists() for name in names):
            return folder
    return None


def missing_bytes(repo: Repository, names: Iterable[str], home: Path) -> int:
    """Bytes of these files that are not in this home's cache yet; 0 where a cache has them all."""
    names = tuple(names)
    if present(repo, names, home) is not None:
        return 0
    folder = _snapshots(_own_cache(home), repo.id) / repo.commit
    return sum(repo.files.get(name, 0) for name in names if not (folder / name).exists())


def forget(folder: Path, name: str, home: Path) -> None:
    """Deletes one fetched file to free its space, if it lies in this home's cache; another program's cache is left alone."""
    path = folder / name
    if path.is_relative_to(_own_cache(home)):
        blob = path.resolve()
        path.unlink(missing_ok=True)
        if blob.is_relative_to(_own_cache(home).resolve()):
            blob.unlink(missing_ok=True)


class Unreachable(Refused):
    """The Hub did not answer."""


@contextmanager
def told(repo_id: str, token: str | None, field: str = "model") -> Iterator[None]:
    """Whatever the Hub's client raises within becomes a Refused in words. For models and, with another `field`, data sets."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        where = f"https://huggingface.co/{'datasets/' if field != 'model' else ''}{repo_id}"
        fix = (
            f"Accept its terms at {where} with the account that your token belongs to."
            if token
            else f"Accept its terms at {where}, then give a Hub token (Settings, Access Tokens there)."
        )
        raise Refused(Problem(field, f"{repo_id} is gated: its owner wants its terms accepted first.", fix)) from error
    except errors.RepositoryNotFoundError as error:
        fix = "Check the spelling." if token else "Check the spelling; if it is private, give a Hub token."
        raise Refused(Problem(field, f"The Hub knows no {repo_id!r}, or does not show it to you.", fix)) from error
    except (errors.RevisionNotFoundError, errors.RemoteEntryNotFoundError) as error:
        raise Refused(
            Problem(field, f"{repo_id} no longer has what was asked of it.", "Choose it again to use it as it is now.")
        ) from error
    except errors.HfHubHTTPError as error:
        raise _http(repo_id, field, error.response.status_code) from error
    except (
        httpx2.HTTPError,
        errors.OfflineModeIsEnabled,
        errors.LocalEntryNotFoundError,
        ConnectionError,
        TimeoutError,
        json.JSONDecodeError,  # something else answered in the Hub's place, such as a network's login page
    ) as error:
        raise unreachable(repo_id, field) from error
    except (errors.HFValidationError, errors.FileMetadataError) as error:
        raise Refused(Problem(field, f"{repo_id} cannot be read: {redact(str(error)).splitlines()[0][:200]}", "Choose another.")) from error


def unreachable(repo_id: str, field: str = "model") -> Unreachable:
    fix = "Check the network, or choose all-MiniLM-L6-v2, which needs none." if field == "model" else "Check the network."
    return Unreachable(Problem(field, f"The Hub cannot be reached, and {repo_id} is not on this machine yet.", fix))


def _http(repo_id: str, field: str, status: int) -> Refused:
    if status == 401:
        return Refused(
            Problem(field, "The Hub does not accept this token.", "Copy it again from Settings, Access Tokens, or leave it out.")
        )
    if status == 403:
        return Refused(Problem(field, f"Your token may not read {repo_id}.", "Give it the right to read this repository."))
    if status == 429:
        return Unreachable(Problem(field, "The Hub says that too much was asked of it.", "Wait some minutes and try again."))
    return Unreachable(Problem(field, f"The Hub has a fault of its own (status {status}).", "Try again later."))


def _endpoint() -> str | None:
    """The Hub's address where the environment names another one. Read now, not when the library was imported."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _own_cache(home: Path) -> Path:
    return home / "cache" / "hub"


def _caches(home: Path) -> tuple[Path, ...]:
    from huggingface_hub import constants

    return _own_cache(home), Path(constants.HF_HUB_CACHE)


def _snapshots(cache: Path, model_id: str) -> Path:
    return cache / f"models--{model_id.replace('/', '--')}" / "snapshots"


def _listing_path(model_id: str, commit: str, home: Path) -> Path:
    return home / "cache" / "listings" / model_id.replace("/", "--") / f"{commit}.json"


def known(model_id: str, home: Path) -> Repository | None:
    """The repository as it was when it was looked at last, or another program fetched it; None where it never was. Asks nobody."""
    return _listing(model_id, None, home) or _scanned(model_id, None) if MODEL_ID.fullmatch(model_id) else None


def _listing(model_id: str, revision: str | None, home: Path) -> Repository | None:
    """What the Hub said of this commit before, or of the commit that was looked at last."""
    known = [one for one in _listing_path(model_id, "", home).parent.glob("*.json") if revision in (None, one.stem)]
    if not known:
        return None
    try:
        told = json.loads(max(known, key=lambda one: one.stat().st_mtime).read_text("utf-8"))
        return Repository(**{**told, "languages": tuple(told["languages"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _scanned(model_id: str, revision: str | None) -> Repository | None:
    """The repository as far as another program fetched it into the machine's own Hub cache."""
    from huggingface_hub import constants

    folders = [
        one
        for one in _snapshots(Path(constants.HF_HUB_CACHE), model_id).glob("*")
        if (one / "config.json").exists() and revision in (None, one.name)
    ]
    if not folders:
        return None
    newest = max(folders, key=lambda one: one.stat().st_mtime)
    return Repository(
        model_id, newest.name, {str(one.relative_to(newest)): one.stat().st_size for one in newest.rglob("*") if one.is_file()}
    )


def _meter(message: str, say: Said, before: int, total: int) -> type:
    """A progress bar that draws nothing and tells `say` instead, at most once for each hundredth."""
    from tqdm import tqdm

    class Meter(tqdm):  # type: ignore[misc]
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(disable=True)
            self.got = before + int(str(kwargs.get("initial") or 0))  # a download that was broken off goes on
            self.said = before

        def update(self, n: float | None = 1) -> bool | None:
            self.got += int(n or 0)
            if self.got - self.said >= max(total // 100, 1):
                self.said = self.got
                say(message, min(self.got, total), total)
            return None

    return Meter


def environment_without_tokens() -> dict[str, str]:
    """This process's environment for one that only reads what lies in the cache: no token, and no asking for the one on the disk."""
    kept = {name: value for name, value in os.environ.items() if name not in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")}
    return kept | {"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}
