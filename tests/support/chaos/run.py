"""`make chaos`: many seeds over all cores, or one seed with all that is known of it."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import sys
import time
from collections import Counter
from functools import partial

from chaos.driver import play_alone

_SHOWN = 10


def main() -> int:
    arguments = _arguments()
    if arguments.seed is not None:
        return _one(arguments.seed)
    started, failed, ends = time.monotonic(), list[tuple[int, str]](), Counter[str]()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    with multiprocessing.Pool(arguments.jobs, initializer=partial(logging.disable, logging.CRITICAL)) as pool:
        for seed, ended, error in pool.imap_unordered(_played, seeds, chunksize=4):
            ends.update(ended)
            if error:
                failed.append((seed, error))
                if len(failed) <= _SHOWN:
                    print(f"\n{error}\nrepeat it alone: make chaos SEED={seed}", flush=True)
    took = time.monotonic() - started
    counted = ", ".join(f"{count} {what}" for what, count in ends.most_common())
    print(f"\n{len(seeds)} seeds in {took:.0f} s ({len(seeds) / took:.1f}/s): {counted}")
    print(f"{len(failed)} failed: {sorted(seed for seed, _ in failed)}" if failed else "none failed")
    return 1 if failed else 0


def _played(seed: int) -> tuple[int, Counter[str], str]:
    try:
        made = play_alone(seed)
    except Exception as error:
        return seed, Counter(), str(error) if isinstance(error, AssertionError) else f"seed {seed}: {error!r}"
    return seed, Counter(made.ends), ""


def _one(seed: int) -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        made = play_alone(seed)
    except AssertionError as error:
        print(f"\n{error}\nrepeat it: make chaos SEED={seed}")
        return 1
    print(f"\nseed {seed} holds: {dict(made.ends)}\ninjected:\n{made.plan()}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
