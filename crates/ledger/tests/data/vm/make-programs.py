#!/usr/bin/env python3
"""Makes programs with pybytom, an independent implementation of Bytom's formats (pip install pybytom==1.5.4).

usage: make-programs.py > programs.json

The executed form of P2WSH is left out: pybytom has that of Bytom v1, with -1 where v2 has 0.
"""
import hashlib, json

from pybytom.script import (
    get_p2pkh_program, get_p2wpkh_program, get_p2wsh_program, get_public_key_hash, get_script_hash
)
from pybytom.script import opcode
from pybytom.script.builder import Builder

keys = [hashlib.sha256(b"key %d" % n).hexdigest() for n in range(6)]

def key(public_key):
    key_hash = get_public_key_hash(public_key=public_key)
    return {
        "public_key": public_key,
        "hash": key_hash,
        "program": get_p2wpkh_program(public_key_hash=key_hash),
        "executed": get_p2pkh_program(public_key_hash=key_hash),
    }

def script(quorum, count):
    builder = Builder().add_op(opcode.OP_TXSIGHASH)
    for public_key in keys[:count]:
        builder.add_bytes(bytes.fromhex(public_key))
    builder.add_int(quorum).add_int(count).add_op(opcode.OP_CHECKMULTISIG)
    script = builder.hex_digest()
    script_hash = get_script_hash(bytecode=script)
    return {
        "public_keys": keys[:count],
        "quorum": quorum,
        "script": script,
        "hash": script_hash,
        "program": get_p2wsh_program(script_hash=script_hash),
    }

def pushes(lengths):
    for length in lengths:
        data = bytes(n % 251 for n in range(length))
        yield {"length": length, "sha256": hashlib.sha256(bytes(Builder().add_bytes(data).digest())).hexdigest()}

print(json.dumps({
    "keys": [key(public_key) for public_key in keys],
    "scripts": [script(quorum, count) for count in range(1, 7) for quorum in range(1, count + 1)],
    "numbers": {str(n): Builder().add_int(n).hex_digest() for n in
                [0, 1, 16, 17, 127, 128, 255, 256, 65535, 65536, 2**32, 2**63 - 1]},
    "pushes": list(pushes([0, 1, 75, 76, 255, 256, 65535, 65536])),
    "opcodes": {name[3:]: value for name, value in vars(opcode).items()
                if name.startswith("OP_") and isinstance(value, int)},
}, indent=1))
