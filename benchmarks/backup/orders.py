"""In which order everyone takes turns: whoever follows another finds its leavings."""

from collections.abc import Sequence


def orders(names: Sequence[str]) -> list[list[str]]:
    """Orders in which everyone has every place equally often, and follows everyone else equally often.

    As few as there can be (Williams, 1949): as many as there are names, or twice as many of an odd number.
    """
    count = len(names)
    # 0, 1, n-1, 2, n-2 and so on: no two neighbours are as far from each other as two others.
    zigzag = [(step + 1) // 2 if step % 2 else -(step // 2) % count for step in range(count)]
    found = [[names[(place + shift) % count] for place in zigzag] for shift in range(count)]
    return found if count % 2 == 0 else [*found, *(order[::-1] for order in found)]
