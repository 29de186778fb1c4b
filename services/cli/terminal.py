"""Results go to stdout, everything else to stderr."""

from typing import NoReturn

import typer
from rich.console import Console

stdout = Console(soft_wrap=True)
stderr = Console(stderr=True, soft_wrap=True)


def notice(text: str) -> None:
    """Tell the user something beside the result."""
    stderr.print(text, style="dim", markup=False, highlight=False)


def fail(text: str, code: int = 2) -> NoReturn:
    """End with an error message and an exit code."""
    stderr.print(f"versus: {text}", style="red", markup=False, highlight=False)
    raise typer.Exit(code)


def cost_text(cost: int, decimals: int) -> str:
    """A cost in units of 10**-decimals as an exact decimal number."""
    if decimals == 0:
        return str(cost)
    digits = f"{abs(cost):0{decimals + 1}d}"
    return f"{'-' if cost < 0 else ''}{digits[:-decimals]}.{digits[-decimals:]}"


def counted_cost(cost: int, decimals: int, unit: str) -> str:
    """A cost with what it counts: ``cost 827.3`` or ``48 bits still composite``."""
    return f"{cost_text(cost, decimals)} {unit}" if unit else f"cost {cost_text(cost, decimals)}"
