"""HMAC-SHA256 from the state it has after its key: what hashlib cannot begin from.

HMAC hashes the key first, one block each for the inner and the outer hash. The two
states after that block verify signatures as the key does, but the key cannot be had
back from them, and nothing takes them for a value. It is slow (some hundred
microseconds a block), so callers bound what they hash.
"""

import hashlib
import struct

BLOCK = 64
_MASK = 0xFFFFFFFF


def _primes(count):
    found, n = [], 2
    while len(found) < count:
        if all(n % p for p in found):
            found.append(n)
        n += 1
    return found


def _root(n, power):
    """The first 32 bits behind the point of n's square or cube root, exactly."""
    low, high = 0, n << 32
    while low < high:
        middle = (low + high + 1) // 2
        if middle**power <= n << (32 * power):
            low = middle
        else:
            high = middle - 1
    return low & _MASK


# FIPS 180-4, 4.2.2 and 5.3.3.
_K = [_root(p, 3) for p in _primes(64)]
_START = tuple(_root(p, 2) for p in _primes(8))


def _rotate(x, n):
    return (x >> n | x << (32 - n)) & _MASK


def _compress(state, block):
    w = list(struct.unpack(">16L", block))
    for t in range(16, 64):
        x, y = w[t - 15], w[t - 2]
        s0 = _rotate(x, 7) ^ _rotate(x, 18) ^ x >> 3
        s1 = _rotate(y, 17) ^ _rotate(y, 19) ^ y >> 10
        w.append((w[t - 16] + s0 + w[t - 7] + s1) & _MASK)
    a, b, c, d, e, f, g, h = state
    for t in range(64):
        s1 = _rotate(e, 6) ^ _rotate(e, 11) ^ _rotate(e, 25)
        t1 = h + s1 + (e & f ^ ~e & _MASK & g) + _K[t] + w[t]
        s0 = _rotate(a, 2) ^ _rotate(a, 13) ^ _rotate(a, 22)
        t2 = s0 + (a & b ^ a & c ^ b & c)
        a, b, c, d, e, f, g, h = (t1 + t2) & _MASK, a, b, c, (d + t1) & _MASK, e, f, g
    return tuple((x + y) & _MASK for x, y in zip(state, (a, b, c, d, e, f, g, h)))


def _finish(state, message):
    """Hashes message on from state, which one block has gone into."""
    length = (BLOCK + len(message)) * 8
    message += b"\x80" + b"\0" * (-(len(message) + 9) % BLOCK) + struct.pack(">Q", length)
    for i in range(0, len(message), BLOCK):
        state = _compress(state, message[i : i + BLOCK])
    return struct.pack(">8L", *state)


def states(key):
    """The inner and outer state of HMAC-SHA256 under key, as hex."""
    if len(key) > BLOCK:
        key = hashlib.sha256(key).digest()
    key = key.ljust(BLOCK, b"\0")
    return [struct.pack(">8L", *_compress(_START, bytes(x ^ pad for x in key))).hex() for pad in (0x36, 0x5C)]


def hexdigest(inner, outer, message):
    """hex(HMAC-SHA256(key, message)), from the states of the key."""
    first, second = (struct.unpack(">8L", bytes.fromhex(s)) for s in (inner, outer))
    return _finish(second, _finish(first, message)).hex()
