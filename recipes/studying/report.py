"""Findings of studies as text and as JSON."""

import math
from typing import Any

from recipes.studying.verdicts import DIVERGED, Finding, Verdict


def line(found: Finding, *, verdict: bool = True) -> str:
    """Return one line: the claim, its number with its noise, and the verdict."""
    claim = found.claim
    parts = [condition(found, name, verdict=verdict) for name in found.conditions]
    end = f" ({found.verdict})" if verdict else ""
    return (
        f"{claim.text.rstrip('.')}: {'; '.join(parts)}"
        f" [{claim.quantity}; the claim: {claim.criterion}{claim.unit}]{end}"
    )


def condition(found: Finding, name: str, *, verdict: bool = True) -> str:
    """Return what was measured under one condition, such as "tanh: 0.93 ± 0.02, confirmed"."""
    each = found.conditions[name]
    parts = [measured(each, log=found.claim.log, unit=found.claim.unit)]
    if found.says.get(name):
        parts.append(found.says[name])
    if verdict and len(found.conditions) > 1:
        parts.append(each.verdict)
    if verdict and each.needed:
        parts.append(f"about {each.needed} {each.repeats} would decide it")
    return (f"{name}: " if name else "") + ", ".join(parts)


def measured(each: Verdict, *, log: bool = False, unit: str = "") -> str:
    """Return a number with its noise, such as "1.82 ± 0.11" or, for a ratio, "5.1 (3.9 to 6.6)"."""
    if each.verdict == DIVERGED:
        return "diverged"
    bound = "at least " if each.at_least else ""
    if math.isinf(each.high) and not each.at_least:
        return f"{number(each.value)}{unit} (one seed)"
    if each.high == each.low or each.at_least:
        return f"{bound}{number(each.low if each.at_least else each.value)}{unit}"
    if log:
        return f"{number(each.value)}{unit} ({number(each.low)} to {number(each.high)})"
    half = (each.high - each.low) / 2
    digits = max(0, 1 - math.floor(math.log10(half)))
    return f"{each.value:.{digits}f} ± {half:.{digits}f}{unit}"


def number(value: float) -> str:
    """Return a number with three significant digits."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if 1e-3 <= abs(value) < 1e5:
        digits = max(0, 2 - math.floor(math.log10(abs(value))))
        return f"{value:,.{digits}f}"
    return f"{value:.2g}"


def about(found: Finding, *, verdict: bool = True) -> dict[str, Any]:
    """Return a finding as it is written to verdict.json.

    Args:
        found: the finding.
        verdict: whether to include the verdicts.
    """
    claim = found.claim
    return {
        "claim": claim.text,
        "source": claim.source,
        "quantity": claim.quantity,
        "criterion": f"{claim.criterion}{claim.unit}",
        "verdict": found.verdict if verdict else None,
        "conditions": [
            {
                "condition": name,
                "measured": measured(each, log=claim.log, unit=claim.unit),
                "says": found.says.get(name, ""),
                "value": each.value,
                "low": each.low,
                "high": each.high,
                "seeds": each.seeds,
                "needed": each.needed if verdict else None,
                "repeats": each.repeats,
                "verdict": each.verdict if verdict else None,
            }
            for name, each in found.conditions.items()
        ],
    }
