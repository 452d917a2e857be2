"""Sums of calls over their runs, and over the runs below."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rollups.ledger.columns import (
    NONE,
    Ints,
    Mask,
    codes_of,
    from_integers,
    integers,
    known,
    order_by,
)
from rollups.ledger.money import decimals, pico_usd, sum_by
from rollups.ledger.rows import Columns
from rollups.ledger.tree import plant


def call_sums(calls: Columns, run: Ints, *, runs: int) -> Columns:
    """Return the sums of calls over *runs* that need no price."""
    step = calls["step"]
    failed = known(calls["error_type"])
    sums = {
        "calls": pa.array(np.bincount(run, minlength=runs)),
        "failed_calls": pa.array(np.bincount(run[failed], minlength=runs)),
        "steps": pa.array(_distinct(run, integers(step, null=NONE), runs=runs)),
    }
    for name in ("input_tokens", "cache_read_tokens", "output_tokens"):
        total = sum_by(run, integers(calls[name]), size=runs)
        known_runs = _any(run[known(calls[name])], runs=runs)
        # A sum beyond the column is a sender's nonsense: unknown, and no error.
        fits = total <= np.iinfo(np.int64).max
        total = np.where(fits, total, 0).astype(np.int64)
        sums[name] = from_integers(total, pa.int64(), null=~(known_runs & fits))
    return sums


def _any(group: Ints, *, runs: int) -> Mask:
    marked = np.zeros(runs, np.bool_)
    marked[group] = True
    return marked


def _distinct(run: Ints, step: Ints, *, runs: int) -> Ints:
    some = np.flatnonzero(step != NONE)
    order = order_by(run[some], step[some])
    run, step = run[some][order], step[some][order]
    fresh = np.r_[True, (np.diff(run) != 0) | (np.diff(step) != 0)][: len(run)]
    return np.bincount(run[fresh], minlength=runs)


def cost_sums(calls: pa.Table, run: Ints, parent: Ints) -> Columns:
    """
    Return what runs cost: themselves, with all runs below, and how much is known.

    Args:
        calls: Priced calls.

        run: Each call's run.

        parent: Each run's parent run, `NONE` without.

    A sum is null when nothing in it has a price. ``coverage`` is the share of a run's
    own tokens that has one, null for a run without tokens.
    """
    runs = len(parent)
    cost = calls.column("cost_usd").combine_chunks()
    priced = known(cost)
    own = sum_by(run, pico_usd(cost), size=runs)
    has_price = _any(run[priced], runs=runs)
    whole, whole_has_price = own.copy(), has_price.copy()
    tree = plant(parent)
    for depth in range(int(tree.depth.max(initial=0)), 0, -1):
        rows = np.flatnonzero(tree.depth == depth)
        np.add.at(whole, tree.up[rows], whole[rows])
        whole_has_price[tree.up[rows[whole_has_price[rows]]]] = True
    tokens = integers(calls.column("input_tokens").combine_chunks()) + integers(
        calls.column("output_tokens").combine_chunks()
    )
    total = sum_by(run, tokens, size=runs)
    covered = sum_by(run[priced], tokens[priced], size=runs)
    share = covered.astype(np.float64) / np.maximum(total, 1).astype(np.float64)
    return {
        "cost_usd": decimals(own, null=~has_price),
        "subtree_cost_usd": decimals(whole, null=~whole_has_price),
        "coverage": pa.array(share, mask=total == 0),
    }


def costliest_chains(
    calls: pa.Table, run: Ints, chains: pa.Table, *, runs: int
) -> Ints:
    """
    Return for each run the row of its costliest chain in *chains*, `NONE` without.

    Of equal costs the chain with more input tokens counts, then the first.
    """
    chain = _rows_of_chains(calls, chains)
    some = np.flatnonzero(chain != NONE)
    size = chains.num_rows
    cost = pico_usd(calls.column("cost_usd").combine_chunks())
    tokens = integers(calls.column("input_tokens").combine_chunks())
    dollars = sum_by(chain[some], cost[some], size=size)
    inputs = sum_by(chain[some], tokens[some], size=size)
    owner = np.full(size, NONE)
    owner[chain[some]] = run[some]
    order = np.lexsort((-np.arange(size), inputs, dollars, owner))
    result = np.full(runs + 1, NONE)
    result[owner[order]] = order
    return result[:-1]


def _rows_of_chains(calls: pa.Table, chains: pa.Table) -> Ints:
    names = ("trace_id", "chain_id")
    codes = [
        codes_of(
            pa.concat_arrays(
                [
                    chains.column(name).combine_chunks(),
                    calls.column(name).combine_chunks(),
                ]
            )
        )
        for name in names
    ]
    key = codes[0][0] * max(len(codes[1][1]), 1) + codes[1][0]
    size = chains.num_rows
    found = pc.index_in(pa.array(key[size:]), value_set=pa.array(key[:size]))
    return integers(found, null=NONE)
