"""The protobuf messages of Prometheus remote write 1.0 and 2.0, built in code.

Only what is read is declared, and texts are declared as bytes: they are checked once per series, not
once per sample. Native histograms (`Histogram`, the same in both versions) and exemplars are kept as bytes, and
read one by one.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "bytes": _FIELD.TYPE_BYTES,
    "double": _FIELD.TYPE_DOUBLE,
    "int64": _FIELD.TYPE_INT64,
    "int32": _FIELD.TYPE_INT32,
    "uint32": _FIELD.TYPE_UINT32,
    "uint64": _FIELD.TYPE_UINT64,
    "sint32": _FIELD.TYPE_SINT32,
    "sint64": _FIELD.TYPE_SINT64,
}
_MESSAGES: dict[str, tuple[str, ...]] = {
    # number, name, type; a star where it is repeated.
    "Label": ("1 name bytes", "2 value bytes"),
    "Sample": ("1 value double", "2 timestamp int64", "3 start_timestamp int64"),
    "Metadata1": ("1 type int32", "2 family bytes"),
    "Series1": ("1 labels Label*", "2 samples Sample*", "3 exemplars bytes*", "4 histograms bytes*"),
    "Request1": ("1 timeseries Series1*", "3 metadata Metadata1*"),
    "Metadata2": ("1 type int32", "3 help_ref uint32", "4 unit_ref uint32"),
    "Series2": (
        "1 labels_refs uint32*",
        "2 samples Sample*",
        "3 histograms bytes*",
        "4 exemplars bytes*",
        "5 metadata Metadata2",
        "6 created_timestamp int64",
    ),
    "Span": ("1 offset sint32", "2 length uint32"),
    "Histogram": (
        *("1 count_int uint64", "2 count_float double", "3 sum double", "4 schema sint32"),
        *("5 zero_threshold double", "6 zero_count_int uint64", "7 zero_count_float double"),
        *("8 negative_spans Span*", "9 negative_deltas sint64*", "10 negative_counts double*"),
        *("11 positive_spans Span*", "12 positive_deltas sint64*", "13 positive_counts double*"),
        *("14 reset_hint int32", "15 timestamp int64", "16 custom_values double*"),
    ),
    "Exemplar1": ("1 labels Label*", "2 value double", "3 timestamp int64"),
    "Exemplar2": ("1 labels_refs uint32*", "2 value double", "3 timestamp int64"),
    "Request2": ("4 symbols bytes*", "5 timeseries Series2*"),
}  # fmt: skip


def _build() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="tocsin/remote_write.proto", package="tocsin.remote_write", syntax="proto3"
    )
    for message, fields in _MESSAGES.items():
        described = file.message_type.add(name=message)
        for text in fields:
            number, name, kind = text.split()
            field = described.field.add(name=name, number=int(number))
            repeated = kind.endswith("*")
            field.label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            kind = kind.removesuffix("*")
            field.type = _TYPES.get(kind, _FIELD.TYPE_MESSAGE)
            if kind not in _TYPES:
                field.type_name = f".tocsin.remote_write.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    find = pool.FindMessageTypeByName
    return {
        name: message_factory.GetMessageClass(find(f"tocsin.remote_write.{name}"))
        for name in _MESSAGES
    }


_CLASSES = _build()
Series1 = _CLASSES["Series1"]
Series2 = _CLASSES["Series2"]
Metadata1 = _CLASSES["Metadata1"]
Histogram = _CLASSES["Histogram"]
Exemplar1 = _CLASSES["Exemplar1"]
Exemplar2 = _CLASSES["Exemplar2"]
Request1 = _CLASSES["Request1"]
"""The whole of a 1.0 request, for tests, benchmarks and whoever sends."""
Request2 = _CLASSES["Request2"]
"""The whole of a 2.0 request; `symbols[0]` must be empty."""

KINDS = ("unknown", "counter", "gauge", "histogram", "gauge", "summary", "gauge", "gauge")
"""What the enumeration of metric types says (unknown, counter, gauge, histogram, gaugehistogram, summary,
info, stateset), as `read_type` says it; the numbers are the same in both versions."""
