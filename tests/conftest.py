"""Fixtures that several test files share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from engine import hardware
from tests import machine
from tests.hub import Hub

settings.register_profile("shur", deadline=None)  # a busy machine must not fail a test
settings.load_profile("shur")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # several processes share two cores here; see opening.be_considerate


def pytest_itemcollected(item: pytest.Item) -> None:  # before all are collected, when xdist reads the groups
    """For `-n 3 --dist loadgroup`: a file's tests share its fixtures, and two pages at most are driven at once.

    The first of the two groups holds those that wait for training most of the time.
    """
    file = item.nodeid.partition("::")[0]
    trains = item.path.stem in ("test_compare", "test_explorer", "test_tasks", "test_walk")
    item.add_marker(pytest.mark.xdist_group(("browser, training" if trains else "browser") if file.startswith("tests/browser/") else file))


@pytest.fixture
def shared_data() -> Path:
    """The folder of real data that lies beside this repository on some machines; never part of it."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the folder shared/data beside the repository")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty stand-in Hub that engine/hub.py takes for the real one; put repositories under `hub.root`.

    The machine's own Hub cache is out of sight. For the `datasets` library start a process with `tests.hub.environment(hub.url, ...)`.
    """
    from huggingface_hub import constants

    with Hub(tmp_path / "hub-root") as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
        yield served


@pytest.fixture(scope="session", autouse=True)
def _machine_is_measured_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hardware, "probe", machine.known)
        yield
