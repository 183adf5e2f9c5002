"""What can be set about the methods that read log lines one kind at a time."""

from __future__ import annotations

from dataclasses import dataclass

from model.units import Milliseconds


@dataclass(frozen=True, slots=True)
class LogLineSettings:
    """Kinds of log lines: a service and a template. Each method can be switched off.

    Attributes
    ----------
    rates : bool
        Tell a kind of line that comes far more often than it ever did.
    expected : bool
        Tell a regular line that has stopped.
    expected_factor : float
        A regular line is missed after the longest gap seen, or its usual gap times this.
    parameters : bool
        Tell durations, sizes, counts and status codes in lines that leave their learnt range.
    sequences : bool
        Follow identifiers (a block, a request, a session) and tell those whose lines are unusual.
    services_max, kinds_max, kinds_per_service_max : int
        Services whose lines are followed, and kinds of lines, in all and of one service. Lines of
        further ones are counted by severity only.
    forget_after_ms : duration
        A kind of line not seen for this long makes room for others.
    parameters_max : int
        Numeric positions that are learnt.
    parameter_lines_max : int
        Lines of one kind that are read for their numbers in 10 s; the rest count as being like them.
    open_max, resting_max : int
        Identifiers followed at once, and those at rest that are remembered.
    groups_max : int
        Kinds of odd courses remembered (which template is rare or missing for which kind of identifier).
    """

    rates: bool = True
    expected: bool = True
    expected_factor: float = 2.2
    parameters: bool = True
    sequences: bool = True
    services_max: int = 2_000
    kinds_max: int = 20_000
    kinds_per_service_max: int = 500
    forget_after_ms: Milliseconds = 691_200_000
    parameters_max: int = 5_000
    parameter_lines_max: int = 10
    open_max: int = 10_000
    resting_max: int = 20_000
    groups_max: int = 500

    def __post_init__(self) -> None:
        if not self.expected_factor > 1.0:
            raise ValueError(f"expected_factor: must be above 1, got {self.expected_factor}")
