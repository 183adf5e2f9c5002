"""What can run out is known by the names of its metrics: a row for each rule, and for what is left out."""

from __future__ import annotations

import pytest

from detectors.resources import RESOURCES, recognise
from model.labels import Labels

NAMES = [
    # what is derived of node_exporter's, and what is not (tmpfs)
    ("disk_used_ratio", {"mountpoint": "/"}, "disk", "RATIO"),
    ("node_filesystem_files_free", {"fstype": "ext4"}, "inodes", "FREE"),
    ("node_filesystem_files", {"fstype": "ext4"}, "inodes", "LIMIT"),
    ("node_filesystem_files_free", {"fstype": "tmpfs"}, None, None),
    # kubelet
    ("kubelet_volume_stats_available_bytes", {}, "volume", "FREE"),
    ("kubelet_volume_stats_capacity_bytes", {}, "volume", "LIMIT"),
    ("kubelet_volume_stats_inodes_free", {}, "inodes", "FREE"),
    # a quota by its label
    ("kube_resourcequota", {"type": "used", "resource": "pods"}, "quota", "USED"),
    ("kube_resourcequota", {"type": "hard", "resource": "pods"}, "quota", "LIMIT"),
    ("kube_resourcequota", {"type": "soft"}, None, None),
    # pairs by their names
    ("tenant_storage_used_bytes", {}, "quota", "USED"),
    ("tenant_storage_limit_bytes", {}, "quota", "LIMIT"),
    ("process_open_fds", {}, "file descriptors", "USED"),
    ("process_max_fds", {}, "file descriptors", "LIMIT"),
    ("hikaricp_connections_active", {"pool": "main"}, "connections", "USED"),
    ("hikaricp_connections_max", {"pool": "main"}, "connections", "LIMIT"),
    ("jvm_memory_used_bytes", {"area": "heap", "id": "G1 Old Gen"}, "heap", "USED"),
    ("jvm_memory_used_bytes", {"area": "heap", "id": "G1 Eden Space"}, None, None),
    ("jvm_memory_max_bytes", {"area": "nonheap"}, None, None),
    # queues
    ("kafka_consumergroup_lag", {"topic": "orders"}, "queue", "USED"),
    ("rabbitmq_queue_messages", {"queue": "mail"}, "queue", "USED"),
    ("otelcol_exporter_queue_size", {}, "queue", "USED"),
    ("otelcol_exporter_queue_capacity", {}, "queue", "LIMIT"),
    # what is no stock, is full by intention, or is ours
    ("redis_memory_used_bytes", {}, None, None),
    ("page_cache_used_bytes", {}, None, None),
    ("node_cpu_usage", {}, None, None),
    ("queue_wait_seconds", {}, None, None),
    ("tocsin_journal_queue_size", {}, None, None),
    ("http_requests_total", {}, None, None),
    ("up", {}, None, None),
]


@pytest.mark.parametrize(("name", "labels", "resource", "part"), NAMES)
def test_names_that_are_recognised(
    name: str, labels: dict[str, str], resource: str | None, part: str | None
) -> None:
    found = recognise(Labels.of({"__name__": name, "job": "x", **labels}))
    if resource is None:
        assert found is None
    else:
        assert found is not None
        assert (RESOURCES[found.resource].name, found.part.name) == (resource, part)


def test_used_and_limit_share_a_key_and_other_tenants_do_not() -> None:
    used, limit, other = (
        recognise(Labels.of({"__name__": f"app_space_{part}_bytes", "tenant": tenant}))
        for part, tenant in (("used", "a"), ("max", "a"), ("max", "b"))
    )
    assert used is not None and limit is not None and other is not None
    assert used.key == limit.key != other.key
