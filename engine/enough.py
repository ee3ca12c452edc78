"""Whether a test set is large enough to tell two models apart. Pure."""

from __future__ import annotations

import math

Z_LEVEL, Z_POWER = 1.959963984540054, 0.8416212335729143  # 5 % on both sides, and 80 of 100 true differences found


def rows_needed(share_differing: float, difference: float) -> int:
    """Test rows with which McNemar's test finds this difference 80 times in 100.

    `share_differing`: of the rows that only one of the two gets right; `difference`: of their shares of right rows, as a share.
    Connor 1987, Biometrics 43(1), 207-211, https://doi.org/10.2307/2531961.
    """
    differing, gap = share_differing, abs(difference)
    if gap == 0 or differing < gap:
        raise ValueError("the difference lies between 0 and the share of rows that differ")
    root = Z_LEVEL * math.sqrt(differing) + Z_POWER * math.sqrt(differing - gap**2)
    return math.ceil((root / gap) ** 2)


def difference_told(rows: int, share_differing: float) -> float:
    """The least difference that McNemar's test finds 80 times in 100 on so many rows, as a share; at most `share_differing`."""
    low, high = 0.0, share_differing
    if share_differing <= 0 or rows_needed(share_differing, high) > rows:
        return share_differing
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if rows_needed(share_differing, middle) > rows else (low, middle)
    return high
