"""Prints pybytom.json: addresses and entry ids as pybytom computes them.

pybytom (MIT) implements Bytom independently of bytomd, for the first chain. What the two chains have in common is
taken from it: control programs, bech32 text (under the second chain's prefixes), and the ids of issuance and coinbase
entries and of the mux above them. Output and transaction ids differ between the chains and are not here.

    pip install pybytom==1.5.4
    python3 pybytom_vectors.py > pybytom.json

Every input is SHA3-256 of a counter, so that the output is always the same.
"""

import contextlib
import hashlib
import io
import json
import pathlib
import sys
import types

# pybytom imports a module for SHA3 that Python has had in hashlib since 3.6
sys.modules["_pysha3"] = types.SimpleNamespace(sha3_256=hashlib.sha3_256)

import pybytom  # noqa: E402
from pybytom.libs import segwit  # noqa: E402
from pybytom.script import script  # noqa: E402


def load_utils():
    """pybytom.transaction.utils without the demonstration at its end, which fails."""
    path = pathlib.Path(pybytom.__file__).parent / "transaction" / "utils.py"
    source, _, _ = path.read_text().partition("\nprint(")
    module = types.ModuleType("utils")
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


utils = load_utils()

BTM = "ff" * 32
PREFIXES = ("bn", "tn", "sn")


def sample(name, number, length=32):
    """Bytes that look random, in hexadecimal."""
    digest = hashlib.sha3_256(f"{name} {number}".encode()).digest()
    return (digest * (length // 32 + 1))[:length].hex()


def texts(hash_):
    return {prefix: segwit.encode(prefix, 0, bytes.fromhex(hash_)) for prefix in PREFIXES}


def address_of_key(number):
    public_key = sample("key", number)
    hash_ = script.get_public_key_hash(public_key=public_key)
    program = script.get_p2wpkh_program(public_key_hash=hash_)
    return {"public_key": public_key, "program": program, "addresses": texts(hash_)}


def address_of_script(number):
    code = sample("script", number, 10 * number + 1)
    hash_ = script.get_script_hash(bytecode=code)
    program = script.get_p2wsh_program(script_hash=hash_)
    return {"script": code, "program": program, "addresses": texts(hash_)}


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return out.hex()


def varstr(text):
    return varint(len(text) // 2) + text


def decode(input_commitment, input_witness, asset_id, amount):
    """Lets pybytom decode a transaction of one input and one output; returns its input and the mux's id."""
    program = "0014" + "00" * 20
    output = asset_id + varint(amount) + varint(1) + varstr(program)
    raw = (
        "07" + varint(1) + varint(0)
        + varint(1) + varint(1) + varstr(input_commitment) + varstr(input_witness)
        + varint(1) + varint(1) + varstr(output) + "00"
    )
    muxes = []
    original = utils.get_mux_id
    utils.get_mux_id = lambda body: muxes.append(original(body)) or muxes[-1]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            decoded = utils.decode_raw_tx(raw, "mainnet")
    finally:
        utils.get_mux_id = original
    return decoded["inputs"][0], muxes[-1]


def issuance(number):
    nonce = sample("nonce", number, 8)
    amount = 1 << (6 * number)
    definition = json.dumps({"name": f"asset {number}"}).encode().hex()
    program = sample("program", number, 20 + 40 * number)
    definition_hash = hashlib.sha3_256(bytes.fromhex(definition)).digest()
    asset = (1).to_bytes(8, "little") + bytes.fromhex(varstr(program)) + definition_hash
    asset_id = hashlib.sha3_256(asset).hexdigest()
    told, mux_id = decode(
        "00" + varstr(nonce) + asset_id + varint(amount),
        varstr(definition) + varint(1) + varstr(program) + varint(0),
        asset_id,
        amount,
    )
    return {
        "nonce": nonce,
        "amount": amount,
        "definition": definition,
        "program": program,
        "asset_id": told["asset_id"],
        "input_id": told["input_id"],
        "mux_id": mux_id,
    }


def coinbase(number):
    arbitrary = sample("arbitrary", number, 9 * number + 1)
    amount = 7 << (6 * number)
    told, mux_id = decode("02" + varstr(arbitrary), "", BTM, amount)
    return {
        "arbitrary": arbitrary,
        "amount": amount,
        "input_id": told["input_id"],
        "mux_id": mux_id,
    }


print(json.dumps({
    "keys": [address_of_key(number) for number in range(8)],
    "scripts": [address_of_script(number) for number in range(8)],
    "issuances": [issuance(number) for number in range(9)],
    "coinbases": [coinbase(number) for number in range(9)],
}, indent=1))
