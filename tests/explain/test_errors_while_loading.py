"""What models, memory and devices print: which of several near causes it is."""

import pytest

from forgediag.explain import explain
from forgediag.testing.explained import roots


def causes(text: str) -> list[str]:
    return roots(explain(text.split("\n")))


LAYER = "ERROR lora diffusion_model.single_blocks.9.linear1.weight shape '[{}, {}]' is invalid for input of size {}"


@pytest.mark.parametrize(
    ("rows", "columns", "size", "cause"),
    [
        (409600, 1, 819200, "lora-on-packed-weights"),
        (3072, 1728, 9437184, "lora-on-packed-weights"),
        (3072, 3264, 9437184, "lora-on-packed-weights"),
        (640, 2048, 491520, "lora-layer-shape"),
        (640, 640, 1638400, "lora-layer-shape"),
    ],
)
def test_a_lora_on_packed_weights_is_told_from_one_for_another_family(
    rows: int, columns: int, size: int, cause: str
) -> None:
    line = LAYER.format(rows, columns, size)
    assert causes(line) == [cause]
    assert causes(f"{line}\n{line}\nfine 12")[:1] == [cause]
