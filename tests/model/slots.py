"""Which slot a queue belongs to: XXH64 of its name, modulo 1024. An id has its queue's slot in its low bits."""

from functools import cache

SLOTS = 1024
MASK = 2**64 - 1
P1, P2, P3, P4, P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)


def rotated(value: int, by: int) -> int:
    return ((value << by) | (value >> (64 - by))) & MASK


def mixed(lane: int, value: int) -> int:
    return rotated((lane + value * P2) & MASK, 31) * P1 & MASK


def xxh64(data: bytes) -> int:
    size = len(data)
    at = 0
    if size >= 32:
        lanes = [(P1 + P2) & MASK, P2, 0, -P1 & MASK]
        while at + 32 <= size:
            for lane in range(4):
                lanes[lane] = mixed(lanes[lane], int.from_bytes(data[at : at + 8], "little"))
                at += 8
        hash = sum(rotated(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18), strict=True)) & MASK
        for lane in lanes:
            hash = ((hash ^ mixed(0, lane)) * P1 + P4) & MASK
    else:
        hash = P5
    hash = (hash + size) & MASK
    while at + 8 <= size:
        hash = (rotated(hash ^ mixed(0, int.from_bytes(data[at : at + 8], "little")), 27) * P1 + P4) & MASK
        at += 8
    if at + 4 <= size:
        hash = (rotated(hash ^ (int.from_bytes(data[at : at + 4], "little") * P1 & MASK), 23) * P2 + P3) & MASK
        at += 4
    for byte in data[at:]:
        hash = rotated(hash ^ (byte * P5 & MASK), 11) * P1 & MASK
    hash = (hash ^ (hash >> 33)) * P2 & MASK
    hash = (hash ^ (hash >> 29)) * P3 & MASK
    return hash ^ (hash >> 32)


@cache
def slot(queue: str) -> int:
    return xxh64(queue.encode()) % SLOTS
