"""The methods that stand beside the baselines, in the order they are shown things."""

from __future__ import annotations

from detectors.absence import Absences
from detectors.certificates import Certificates
from detectors.collective import Collective
from detectors.drifting import Drifting
from detectors.edges import Edges
from detectors.forecast import Forecast
from detectors.fullside import FullSide
from detectors.judge import Judge
from detectors.knowledge import Knowledge
from detectors.logwatchers import log_watchers
from detectors.probes import Probes
from detectors.rhythms import Rhythms
from detectors.silences import Silences
from detectors.slo import Slos
from detectors.unrest import Unrest
from detectors.watcher import Watcher


def watchers(judge: Judge, knowledge: Knowledge, absences: Absences) -> tuple[Watcher, ...]:
    """All of them, made anew."""
    full, collective, rhythms = FullSide(judge, knowledge), Collective(judge), Rhythms(judge)
    unrest = Unrest(judge)
    full.hear = (collective.scored, rhythms.scored, unrest.scored)
    full.expects = rhythms.expects
    return (
        full,
        collective,
        rhythms,
        unrest,
        Silences(judge, absences),
        Drifting(judge),
        Slos(judge, knowledge.slos),
        Forecast(judge, judge.settings.forecast),
        Probes(judge),
        Certificates(judge),
        Edges(judge),
        *log_watchers(judge),
    )
