"""What people told us of their services, as far as detection needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from model.slo import Objective


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Facts of the catalogue and of the objectives that the detectors use.

    Attributes
    ----------
    tiers : dict of str to int
        Service to tier, 1 (the business stops without it) to 4; what is not listed counts as 3.
    slos : tuple of Objective
        Objectives, each with its own name.
    """

    tiers: Mapping[str, int] = field(default_factory=dict)
    slos: tuple[Objective, ...] = ()
