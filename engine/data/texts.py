"""What rows hold before they are tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Texts:
    """Lists of one length."""

    first: Sequence[str]
    second: Sequence[str] | None = None  # the context or input beside it, or the other of a pair
    answers: Sequence[str] | None = None  # what is to be written; None where only prompts are wanted

    def __len__(self) -> int:
        return len(self.first)

    def joined(self) -> list[str]:
        """Both texts of a row in one, where there are two: for what reads words and knows no pairs."""
        return list(self.first) if self.second is None else [f"{one}\n{other}" for one, other in zip(self.first, self.second, strict=True)]

    def part(self, start: int, end: int) -> Texts:
        cut = [None if one is None else one[start:end] for one in (self.first, self.second, self.answers)]
        return Texts(cut[0] or [], cut[1], cut[2])
