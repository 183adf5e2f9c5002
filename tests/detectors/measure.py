"""How many faults are found, how fast, and how many false alerts: `python tests/detectors/measure.py SEEDS`."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from tests.detectors.synthetic_shop import Fault, run  # noqa: E402
from tests.detectors.test_shop import BEGIN_S, END_S, FAULTS, SECONDS  # noqa: E402

QUIET_S = 1_800


def main() -> None:
    """Print one line per fault, and one for quiet shops."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for kind, service, names in FAULTS:
        delays, ends, false = [], [], 0
        for seed in range(seeds):
            told = run(seed, SECONDS, (Fault(kind, service, BEGIN_S, END_S),))
            mine = [(at, a) for at, a in told if a.service == service and a.name in names]
            delays += [min(at for at, a in mine if a.firing) - BEGIN_S] if mine else []
            ends += [max(at for at, a in mine) - END_S] if mine else []
            false += sum(at < BEGIN_S for at, _ in told)
        print(
            f"{kind:11} found {len(delays)}/{seeds} after {statistics.median(delays or [0]):.0f} s "
            f"(at most {max(delays, default=0)}), over {statistics.median(ends or [0]):.0f} s after its end; "
            f"false before it: {false}",
            flush=True,
        )
    alerts = [a for seed in range(1_000, 1_000 + seeds) for _, a in run(seed, QUIET_S)]
    print(
        f"quiet: {len(alerts)} alerts in {seeds} runs of {QUIET_S} s",
        [str(a.labels) for a in alerts],
    )


if __name__ == "__main__":
    main()
