from __future__ import annotations

import pytest

from conformance.api import NotConforming, check_adapter
from conformance.subjects import SUBJECTS
from conformance.zoo.stream_faults import RepeatsAnIndex
from conformance.zoo.subject import ZooSubject


async def test_an_adapter_that_conforms_passes_in_silence() -> None:
    await check_adapter(SUBJECTS["mock"], only=["FRM-03", "CAN-06"])


async def test_an_adapter_that_does_not_raises_with_the_whole_story() -> None:
    broken = ZooSubject("broken", SUBJECTS["mock"], RepeatsAnIndex)
    with pytest.raises(NotConforming) as caught:
        await check_adapter(broken, only=["FRM-03"])
    assert "ADAPT-3010a" in str(caught.value)
    assert "reproduce" in str(caught.value)
