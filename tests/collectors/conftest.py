"""What tests of several collectors need."""

from __future__ import annotations

import pytest

from tests.collectors.probing_peers import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whose certificates the probes' peers show."""
    return Authority(tmp_path_factory.mktemp("ca"))
