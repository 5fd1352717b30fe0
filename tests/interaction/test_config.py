from typing import Any

import pytest

from amd_das.errors import ConfigError
from amd_das.interaction import InteractionConfig


@pytest.mark.parametrize(
    "wrong", [{"radius_mm": 0.0}, {"radius_mm": 500.0}, {"level": 1.0}, {"barrier": -1.0}, {"alike_hu": 0.0}]
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        InteractionConfig(**wrong)
