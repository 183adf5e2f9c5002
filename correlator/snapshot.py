"""The correlator's memory as bytes: rows as JSON behind a version and a checksum."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from model.alert import AlertStatus
from model.change import Change
from model.codec import decode, encode
from model.errors import SnapshotError
from model.incident import Grouping
from model.silence import Silence

_VERSION = b"tocsin-correlator 1 "


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All rows from which a correlator is rebuilt."""

    statuses: tuple[AlertStatus, ...] = ()
    groupings: tuple[Grouping, ...] = ()
    silences: tuple[Silence, ...] = ()
    changes: tuple[Change, ...] = ()


def pack(snapshot: Snapshot) -> bytes:
    """Write a snapshot.

    Examples
    --------
    >>> unpack(pack(Snapshot())) == Snapshot()
    True
    """
    body = encode(snapshot)
    return _VERSION + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def unpack(data: bytes) -> Snapshot:
    """Read a snapshot.

    Raises
    ------
    SnapshotError
        If it is damaged or of another version.
    """
    if not data.startswith(_VERSION):
        raise SnapshotError("not a correlator snapshot of this version")
    checksum, _, body = data[len(_VERSION) :].partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        raise SnapshotError("the correlator snapshot is damaged: its checksum does not fit")
    return decode(Snapshot, body)
