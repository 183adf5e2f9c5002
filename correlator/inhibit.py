"""A source alert hides its targets, as in Alertmanager."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from correlator.settings import InhibitRule
from model.alert import INHIBITED_BY
from model.labels import Labels, Matcher, matches_all

_Equal = tuple[str, ...]
"""A domain, and the values of the labels that must be equal."""


class _Rule:
    """One rule with the alerts it concerns, by the values of its `equal` labels."""

    def __init__(self, number: int, rule: InhibitRule) -> None:
        self.mark = INHIBITED_BY + (rule.name or str(number))
        self._source = tuple(Matcher.parse(text) for text in rule.source)
        self._target = tuple(Matcher.parse(text) for text in rule.target)
        self._equal = rule.equal
        # True for a source that is a target too: it must not mute its own kind.
        self._sources: dict[_Equal, dict[str, bool]] = {}
        self._targets: dict[_Equal, dict[str, None]] = {}

    def note(self, key: str, labels: Labels, firing: bool, domain: str) -> list[str]:
        """Take note of an alert; the targets whose muting may have changed."""
        values = (domain, *[labels.get(name, "") for name in self._equal])
        is_target = matches_all(self._target, labels)
        if is_target:
            targets = self._targets.setdefault(values, {})
            targets.pop(key, None)
            if firing:
                targets[key] = None
        if not matches_all(self._source, labels):
            return []
        sources = self._sources.setdefault(values, {})
        before = _kinds(sources)
        sources.pop(key, None)
        if firing:
            sources[key] = is_target
        if _kinds(sources) == before:
            return []
        return list(self._targets.get(values, ()))

    def mutes(self, labels: Labels, domain: str) -> bool:
        """Whether the rule mutes an alert with these labels now."""
        if not matches_all(self._target, labels):
            return False
        sources = self._sources.get((domain, *[labels.get(name, "") for name in self._equal]))
        if not sources:
            return False
        # As in Alertmanager: an alert that is both is not muted by another that is both.
        return not all(sources.values()) if matches_all(self._source, labels) else True


def _kinds(sources: dict[str, bool]) -> tuple[bool, bool]:
    return bool(sources), not all(sources.values())


class Inhibitor:
    """All rules.

    Parameters
    ----------
    domain : Callable
        The domain of an alert by its labels: a rule acts within one.

    Examples
    --------
    >>> down = InhibitRule(("alertname=Down",), ("alertname=Slow",), ("job",), "down")
    >>> rules = Inhibitor((down,))
    >>> rules.note("1", Labels.of({"alertname": "Down", "job": "a"}), True)
    []
    >>> rules.muting(Labels.of({"alertname": "Slow", "job": "a"}))
    ('inhibit:down',)
    """

    def __init__(
        self, rules: Sequence[InhibitRule], domain: Callable[[Labels], str] = lambda _: ""
    ) -> None:
        self._domain = domain
        self._rules = [_Rule(number, rule) for number, rule in enumerate(rules, 1)]

    def note(self, key: str, labels: Labels, firing: bool) -> list[str]:
        """Take note that an alert fires, or no longer; keys of alerts to look at again."""
        domain = self._domain(labels)
        return [t for rule in self._rules for t in rule.note(key, labels, firing, domain)]

    def muting(self, labels: Labels) -> tuple[str, ...]:
        """Marks of the rules that mute an alert now, in the order of the rules."""
        domain = self._domain(labels)
        return tuple([rule.mark for rule in self._rules if rule.mutes(labels, domain)])
