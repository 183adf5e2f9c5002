"""When a certificate is valid, read from its DER form: two times out of a structure of nested lengths."""

from __future__ import annotations

from datetime import UTC, datetime

_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x30, 0x17, 0x18, 0xA0


def validity_ms(der: bytes) -> tuple[int, int]:
    """From when to when an X.509 certificate is valid, in milliseconds since the epoch.

    Raises
    ------
    ValueError
        If it is not a certificate (RFC 5280, section 4.1).
    """
    try:
        _, certificate, _ = _element(der, _SEQUENCE)
        _, rest, _ = _element(certificate, _SEQUENCE)
        if rest[0] == _VERSION:
            rest = _element(rest)[2]
        for _ in range(3):  # serial number, algorithm, issuer
            rest = _element(rest)[2]
        _, validity, _ = _element(rest, _SEQUENCE)
        tag, begins, rest = _element(validity)
        last_tag, ends, _ = _element(rest)
        return _time_ms(tag, begins), _time_ms(last_tag, ends)
    except (IndexError, UnicodeDecodeError, OverflowError) as error:
        raise ValueError(f"not a certificate: {error}") from None


def _element(data: bytes, expected: int | None = None) -> tuple[int, bytes, bytes]:
    """Tag, content and what follows it."""
    tag, length, begin = data[0], data[1], 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4:
            raise ValueError("not a certificate: a length is not DER")
        length, begin = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
    if begin + length > len(data) or (expected is not None and tag != expected):
        raise ValueError("not a certificate: its structure is broken")
    return tag, data[begin : begin + length], data[begin + length :]


def _time_ms(tag: int, text: bytes) -> int:
    said = text.decode("ascii")
    if tag == _UTC_TIME:  # two digits of the year: 50 to 99 are 1950 to 1999
        said = ("20" if said[:2] < "50" else "19") + said
    elif tag != _GENERALIZED_TIME:
        raise ValueError("not a certificate: no time where one belongs")
    moment = datetime.strptime(said, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
