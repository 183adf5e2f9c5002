"""The Helm chart, linted and rendered by helm itself (install.sh makes it where Go is)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.integration.conftest import program

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "tocsin"
KUBERNETES = "1.30"
MADE = ROOT / "build" / "servers" / "bin"


def helm() -> str:
    """The one that install.sh made, else that of the machine."""
    return shutil.which("helm", path=MADE) or program("helm")


def test_chart_lints() -> None:
    done = subprocess.run([helm(), "lint", "--strict", CHART], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _rendered(*settings: str) -> list[dict[str, Any]]:
    command: list[str | Path] = [
        helm(),
        "template",
        "tocsin",
        CHART,
        f"--kube-version={KUBERNETES}.0",
    ]
    command += [f"--set={setting}" for setting in settings]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found]


@pytest.mark.parametrize("mode", ["single", "workers"])
def test_rendered_pods_are_locked_down(mode: str) -> None:
    found = _rendered(
        f"mode={mode}",
        "serviceMonitor.enabled=true",
        "networkPolicy.enabled=true",
        "secrets[0].name=desk,secrets[0].keys[0]=token",
        "env[0].name=PGPASSWORD,env[0].value=x",
        "podAnnotations.a=b",
        "syslog.ports[0].name=udp,syslog.ports[0].port=514",
        "syslog.ports[0].targetPort=5514,syslog.ports[0].protocol=UDP",
    )
    for one in found:
        if not one["apiVersion"].startswith("monitoring.coreos.com"):  # the operator's own
            kubernetes_validate.validate(one, KUBERNETES, strict=True)
    kinds = {one["kind"] for one in found}
    assert {"ConfigMap", "Service", "PodDisruptionBudget", "NetworkPolicy"} <= kinds
    (listening,) = [one for one in found if one["metadata"]["name"] == "tocsin-syslog"]
    pods = [one for one in found if one["kind"] in ("StatefulSet", "Deployment")]
    assert len(pods) == (1 if mode == "single" else 4)
    takes_in = [
        one
        for one in pods
        if listening["spec"]["selector"].items()
        <= one["spec"]["template"]["metadata"]["labels"].items()
    ]
    assert [one["metadata"]["name"] for one in takes_in] == [
        "tocsin" if mode == "single" else "tocsin-intake"
    ]
    for one in pods:
        template = one["spec"]["template"]
        assert one["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()  # fmt: skip
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        volumes = {volume["name"] for volume in pod["volumes"]} | {"data"}
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        assert all({"livenessProbe", "readinessProbe"} <= c.keys() for c in pod["containers"])


def test_what_kubernetes_does_not_know_is_noticed() -> None:
    service: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}}
    kubernetes_validate.validate(service, KUBERNETES, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**service, "spec": {"prots": []}}, KUBERNETES, strict=True)
