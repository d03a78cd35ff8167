"""Makes vectors.json: keys, paths, phrases and messages as pybytom sees them.

    pip install pybytom==1.5.4 && python make_vectors.py > vectors.json

pybytom (MIT) is an implementation of Bytom's keys independent of bytomd and of this crate. The entropy comes from a counter,
so the file can be made again and compared.
"""

import hashlib
import json
import unicodedata

from pybytom.signature import sign
from pybytom.wallet import Wallet
from pybytom.wallet.tools import (
    get_child_xprivate_key,
    get_child_xpublic_key,
    get_program,
    get_xpublic_key,
)

LANGUAGES = {
    "en": "english",
    "zh_CN": "chinese_simplified",
    "zh_TW": "chinese_traditional",
    "it": "italian",
    "ja": "japanese",
    "ko": "korean",
    "es": "spanish",
}
MESSAGES = ["", "68656c6c6f", "00", "ff" * 32, "e4bda0e5a5bd" * 40]


def bip44(account, change, address):
    levels = [44, 153, account, change, address]
    return [level.to_bytes(4, "little").hex() for level in levels]


def rule_0(space, number, *items):
    return [bytes([space]).hex() + number.to_bytes(8, "little").hex()] + [
        item.to_bytes(8, "little").hex() for item in items
    ]


def paths(n):
    return [
        {"kind": "bip44", "numbers": [1, 0, 1], "selectors": bip44(1, 0, 1)},
        {"kind": "bip44", "numbers": [n + 1, 1, 7 * n], "selectors": bip44(n + 1, 1, 7 * n)},
        {"kind": "bip44", "numbers": [2**32 - 1, 0, 2**31], "selectors": bip44(2**32 - 1, 0, 2**31)},
        {"kind": "account", "numbers": [n, 2**40 + n], "selectors": rule_0(1, n, 2**40 + n)},
        {"kind": "asset", "numbers": [300 * n], "selectors": rule_0(0, 300 * n)},
    ]


def vector(code, n):
    entropy = hashlib.sha256(f"{code} {n}".encode()).digest()[:16]
    wallet = Wallet(network="mainnet").from_entropy(entropy.hex(), language=LANGUAGES[code])
    root = wallet.xprivate_key()
    children = []
    for path in paths(n):
        child = get_child_xprivate_key(root, indexes=path["selectors"])
        xpub = get_child_xpublic_key(wallet.xpublic_key(), indexes=path["selectors"])
        assert xpub == get_xpublic_key(child)
        message = MESSAGES[(n + len(children)) % len(MESSAGES)]
        children.append(
            path
            | {
                "xprv": child,
                "xpub": xpub,
                "program": get_program(xpub[:64]),
                "message": message,
                "signature": sign(child, message),
            }
        )
    return {
        "language": code,
        "entropy": entropy.hex(),
        "mnemonic": unicodedata.normalize("NFKD", wallet.mnemonic()),
        "seed": wallet.seed(),
        "xprv": root,
        "xpub": wallet.xpublic_key(),
        "children": children,
    }


print(json.dumps([vector(code, n) for code in LANGUAGES for n in range(3)], ensure_ascii=False, indent=1))
