"""How long tests wait for something before they fail: every limit is multiplied by DW_TEST_PATIENCE (default: 1)."""

import math
import os


def _factor() -> float:
    text = os.environ.get("DW_TEST_PATIENCE", "1")
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not (factor > 0 and math.isfinite(factor)):
        raise ValueError(f"DW_TEST_PATIENCE is {text!r}; give a number above 0, e.g. 3 for waits three times as long.")
    return factor


PATIENCE = _factor()


def patient(limit_s: float) -> float:
    """A limit in seconds, as long as this machine needs it."""
    return limit_s * PATIENCE
