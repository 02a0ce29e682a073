"""The twin ranking's kernel for CUDA, in Triton: distances in registers, compared with thresholds.

It is a separate module because Triton is installed only beside a torch for GPUs.

A program ranks the twins of some stars, the queries, among all stars, tile by tile. Unlike the
kernel for the CPU it computes each distance twice, once for either star, as that needs no counters
that programs share. Distances add their terms in the order of the dimensions, each term rounded as
IEEE 754 prescribes, so they equal those of the CPU to the bit.
"""

# Triton has no type information.
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import torch
import triton
import triton.language as tl

# Stars in a tile, and the warps that share it: 32 distances a thread. Larger tiles spill registers.
QUERIES, GALLERY, WARPS = 32, 128, 4


@triton.jit
def _count(
    columns,  # [d, n_padded], float32: latents, transposed; columns of padding are NaN
    thresholds,  # [n_padded], float32
    closer,  # [n_padded], int32: results
    within,
    n_padded,  # a multiple of both tiles
    first,  # the first query of all programs
    d: tl.constexpr,
    queries: tl.constexpr,
    gallery: tl.constexpr,
):
    query = first + tl.program_id(0) * queries + tl.arange(0, queries)[:, None]
    threshold = tl.load(thresholds + query)
    n_closer = tl.zeros([queries, gallery], tl.int32)
    n_within = tl.zeros([queries, gallery], tl.int32)
    for start in range(0, n_padded, gallery):
        star = start + tl.arange(0, gallery)[None, :]
        distance = tl.zeros([queries, gallery], tl.float32)
        column = columns
        for k in range(d):  # noqa: B007 - Triton needs a name
            distance += tl.abs(tl.load(column + query) - tl.load(column + star))
            column += n_padded
        # The query and its twin are left out by index. A comparison with NaN is false.
        stranger = query // 2 != star // 2
        n_closer += (stranger & (distance < threshold)).to(tl.int32)
        n_within += (stranger & (distance <= threshold)).to(tl.int32)
    row = first + tl.program_id(0) * queries + tl.arange(0, queries)
    tl.store(closer + row, tl.sum(n_closer, axis=1))
    tl.store(within + row, tl.sum(n_within, axis=1))


def count_closer(
    columns: torch.Tensor,
    thresholds: torch.Tensor,
    first: int,
    closer: torch.Tensor,
    within: torch.Tensor,
    *,
    n_queries: int,
    queries: int = QUERIES,
    gallery: int = GALLERY,
    warps: int = WARPS,
) -> None:
    """Write the counts of some stars, as `starbench.metrics._l1_torch.count_closer` does.

    Parameters
    ----------
    columns : torch.Tensor [d, n_padded], float32
    thresholds : torch.Tensor [n_padded], float32
    first : int
        A multiple of `queries`.
    closer, within : torch.Tensor [n_padded], int32
        The elements of the queries are written.
    n_queries, queries, gallery, warps : int
        Number of stars, rounded up to whole tiles; tiles must divide `n_padded`.
    """
    d, n_padded = columns.shape
    grid = (triton.cdiv(n_queries, queries),)
    _count[grid](
        columns,
        thresholds,
        closer,
        within,
        n_padded,
        first,
        d=d,
        queries=queries,
        gallery=gallery,
        num_warps=warps,
    )
