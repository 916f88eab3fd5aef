"""Whether bf16 pays on this machine."""

from __future__ import annotations

import time
from functools import cache

import torch

# bf16 is taken where it multiplies matrices so many times as fast as fp32: below that, casting eats the gain.
_PAYS = 1.3
# A matrix product of a small encoder's step: tokens, inputs, outputs.
_TOKENS, _INPUTS, _OUTPUTS = 1024, 384, 1536
_REPEATS = 7


def has_bf16() -> bool:
    """Tell whether bf16 is multiplied natively; emulated bf16 is slower than fp32."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch.cpu.get_capabilities says the same in public, but only in later versions than we allow.
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@cache
def bf16_pays() -> bool:
    """Tell whether bf16 autocast trains faster than fp32 here.

    On a processor that is measured, in some hundredths of a second: two that both announce avx512_bf16 may multiply
    it twice as fast as fp32, or half as fast.
    """
    if torch.cuda.is_available() or not has_bf16():
        return has_bf16()
    products = [_product(torch.float32), _product(torch.bfloat16)]
    # In turns, and the best of each: another process may take the processor for a while.
    taken_s = [[_taken_s(*pair) for pair in products] for _ in range(_REPEATS)]
    fp32_s, bf16_s = (min(column) for column in zip(*taken_s, strict=True))
    return bool(fp32_s > _PAYS * bf16_s)


def _product(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    inputs, weights = torch.ones(_TOKENS, _INPUTS, dtype=dtype), torch.ones(_OUTPUTS, _INPUTS, dtype=dtype)
    torch.nn.functional.linear(inputs, weights)
    return inputs, weights


def _taken_s(inputs: torch.Tensor, weights: torch.Tensor) -> float:
    start = time.perf_counter()
    torch.nn.functional.linear(inputs, weights)
    return time.perf_counter() - start
