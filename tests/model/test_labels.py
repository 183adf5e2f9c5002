"""Labels and matchers: Prometheus' meaning, linear time, and fingerprints that fit Alertmanager's."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import LabelError
from model.labels import Labels, Matcher

_LABELS = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=6),
    st.text(st.characters(codec="utf-8"), max_size=6),
    max_size=8,
)


@given(_LABELS)
def test_labels_are_a_mapping_without_empty_values(data: dict[str, str]) -> None:
    labels = Labels.of(data)
    kept = {name: value for name, value in data.items() if value}
    assert dict(labels) == kept
    assert [labels.get(name, "") for name in data] == [data[name] for name in data]
    assert labels == Labels.of(dict(reversed(data.items())))
    assert hash(labels) == hash(Labels.of(kept))


@given(_LABELS, st.text(max_size=5))
def test_a_label_that_is_not_there_is_a_key_error_or_the_default(
    data: dict[str, str], name: str
) -> None:
    labels = Labels.of(data)
    if data.get(name):
        assert labels[name] == data[name]
    else:
        assert labels.get(name) is None
        with pytest.raises(KeyError):
            labels[name]


# A row per operator: the matcher, a value that passes, one that does not.
@pytest.mark.parametrize(
    ("text", "passes", "fails"),
    [
        ('a="x"', "x", "xx"),
        ("a=x", "x", ""),
        ('a!="x"', "", "x"),
        ('a=~"x|y.*"', "yes", "no"),
        ('a=~"x"', "x", "xx"),  # anchored
        ('a!~"x.*"', "no", "xy"),
        ('a=""', "", "x"),
        (r'a="say \"hi\"\n"', 'say "hi"\n', "say"),
        ('"long name"="x"', None, None),
    ],
)
def test_matchers_have_alertmanagers_meaning(
    text: str, passes: str | None, fails: str | None
) -> None:
    matcher = Matcher.parse(text)
    assert Matcher.parse(str(matcher)) == matcher
    if passes is not None and fails is not None:
        assert matcher.matches({"a": passes})
        assert not matcher.matches({"a": fails})


@pytest.mark.parametrize("text", ["", "a", "=x", 'a=~"("', 'a="x', "a==x y", "{a=b}", 'a=~"(?=x)"'])
def test_what_is_no_matcher_says_so(text: str) -> None:
    with pytest.raises(LabelError, match="matcher|regular expression"):
        Matcher.parse(text)


def test_a16_a_hostile_pattern_takes_linear_time() -> None:
    matcher = Matcher.parse('a=~"(a+)+(a|aa)+$"')
    begun = time.process_time()
    assert not matcher.matches({"a": "a" * 4000 + "!"})
    assert time.process_time() - begun < 1.0


@pytest.mark.parametrize(
    "data",
    [{"": "x"}, {"a": 1}, {"a": "x" * 5000}, {f"l{n}": "x" for n in range(65)}],
)
def test_labels_beyond_the_limits_are_refused(data: dict[str, str]) -> None:
    with pytest.raises(LabelError):
        Labels.of(data)
