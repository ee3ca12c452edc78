"""What can go wrong, and how it is told to a person.

    ShurError
    ├── Refused      a person's input cannot be used; carries every Problem found
    └── RunFailed    a run ended early, with a reason a person can read

`explain` turns any other exception into a Problem. Nothing here prints or logs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Problem:
    """What is wrong with which field, the offending value, and the fix in plain words.

    `field` names the place on the page, dotted: "data.source", "data.label", "model", "method", "settings.rank".
    A "warning" is shown but does not keep the run from starting.
    """

    field: str
    message: str
    fix: str = ""
    severity: Literal["error", "warning"] = "error"
    of_memory: bool = False  # it is about how much memory a run needs

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()


class ShurError(Exception):
    """Root of the product's own errors."""


class Refused(ShurError):
    """A person's input cannot be used. `problems` holds all of them, never only the first."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(" ".join(str(problem) for problem in problems))
        self.problems: tuple[Problem, ...] = problems


class RunFailed(ShurError):
    """A run ended early; the problem says why and what to do."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


SECRET = re.compile(r"\b(hf_|api_org_)[A-Za-z0-9]{4,}|(?<=Bearer )\S+")


def redact(text: str) -> str:
    """The text with anything that looks like a Hub token replaced by dots."""
    return SECRET.sub("••••", text)


LIGHTER_FIX = "Choose a smaller batch size, a shorter text length, a lighter method or a smaller model."
# Not Resume: a resumed run goes on with the plan that ran out of memory.
OUT_OF_MEMORY_FIX = "Press Clone, choose a smaller batch size, a shorter text length or a smaller model, and start it."


NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "bad_alloc",
    "bad allocation",
    "cublas_status_alloc_failed",
)
# oneDNN's whole message where it got no memory, seen with bf16 on a CPU; with more words behind ("… descriptor for …") it is another error.
NO_PRIMITIVE = ("could not create a primitive", "could not create a memory", "could not execute a primitive")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, the GPU's or the machine's: Python, torch and CUDA each say it in their own way."""
    if isinstance(error, (ShurError, KeyboardInterrupt)):
        return False
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == 12):
        return True
    first_line = str(error).strip().split("\n")[0].lower()
    return isinstance(error, RuntimeError) and (first_line in NO_PRIMITIVE or any(one in first_line for one in NO_MEMORY))


def explain(error: BaseException, field: str = "run") -> Problem:
    """A Problem for any exception, in words, with a fix where one is known. Never holds a traceback or a secret."""
    if is_out_of_memory(error):
        return Problem(field, "The machine ran out of memory.", OUT_OF_MEMORY_FIX)
    match error:
        case Refused(problems=(first, *_)):
            return first
        case RunFailed(problem=problem):
            return problem
        case OSError(errno=28):
            return Problem(field, "The disk is full.", "Free some space, then press Resume.")
        case PermissionError():
            return Problem(field, f"The file {error.filename} may not be read or written.", "Check its permissions.")
    text = redact(str(error)).strip().splitlines()
    first_line = text[0][:300] if text else type(error).__name__
    return Problem(field, f"{type(error).__name__}: {first_line}", "The run's log has the details.")
