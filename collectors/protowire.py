"""The outermost fields of a protobuf message: where each begins and ends, with nothing allocated for them.

A general parser makes an object of every part before anybody can count them: two bytes can become fifty.
"""

from __future__ import annotations

from model.errors import InputError

_BROKEN = "body: must be protobuf as specified; it is cut off or damaged"


def split(
    body: bytes, tag: int, other: int, *, parts_max: int
) -> tuple[list[int], list[int], list[bytes]]:
    """Where the parts with a tag begin and end, and the bytes of those with another.

    Parameters
    ----------
    tag, other : int
        Tags of one byte, length-delimited (`number << 3 | 2`). Other fields are skipped.
    parts_max : int
        Fields in all.

    Raises
    ------
    InputError
        If it is no protobuf message, or has too many fields.

    Examples
    --------
    >>> split(b"\\x0a\\x02hi\\x12\\x01!", 0x0a, 0x12, parts_max=10)
    ([2], [4], [b'!'])
    """
    begins: list[int] = []
    ends: list[int] = []
    others: list[bytes] = []
    at, end = 0, len(body)
    try:
        for _ in range(parts_max):
            if at >= end:
                break
            found, size = body[at], body[at + 1]
            begin = at + 2
            if size >= 0x80:
                more = body[begin]
                if more < 0x80:
                    size += (more << 7) - 0x80
                    begin += 1
                else:
                    size, begin = varint(body, at + 1)
            if found == tag:
                at = begin + size
                begins.append(begin)
                ends.append(at)
            elif found == other:
                at = begin + size
                others.append(body[begin:at])
            else:
                at = skip(body, at)
    except IndexError:
        raise InputError(_BROKEN) from None
    if at < end:
        raise InputError(f"body: more than {parts_max} parts; send less at a time")
    if at > end:
        raise InputError(_BROKEN)
    return begins, ends, others


def varint(body: bytes, at: int) -> tuple[int, int]:
    """A number of at most 64 bits, and where it ends.

    Raises
    ------
    IndexError
        If the body ends before it does.
    InputError
        If it is longer.
    """
    number = 0
    for shift in range(0, 70, 7):
        byte = body[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise InputError(_BROKEN)


def skip(body: bytes, at: int) -> int:
    """Where a field that is of no interest ends.

    Raises
    ------
    IndexError, InputError
        As `varint`; also for a group (proto2), or the number 0.
    """
    key, at = varint(body, at)
    if key >> 3 == 0:
        raise InputError(_BROKEN)
    match key & 7:
        case 0:
            return varint(body, at)[1]
        case 1:
            return at + 8
        case 2:
            size, begin = varint(body, at)
            return begin + size
        case 5:
            return at + 4
    raise InputError(_BROKEN)
