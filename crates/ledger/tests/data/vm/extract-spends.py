#!/usr/bin/env python3
"""Takes the inputs out of decoded transactions and blocks that a bytomd v2.0.6 answered.

usage: extract-spends.py <directory of recorded answers> > spends.json

Each input is written once, with what the virtual machine is run with, and the file it was found in; then for each
transaction whose gas was estimated what bytomd estimated for the virtual machine, in neu.
"""
import glob, json, os, sys

seen, spends, estimates = set(), [], []

def walk(value, source):
    if isinstance(value, list):
        for item in value:
            walk(item, source)
    elif isinstance(value, dict):
        if value.get("type") in ("spend", "issue", "veto") and "witness_arguments" in value:
            if value["witness_arguments"] and value["input_id"] not in seen:
                seen.add(value["input_id"])
                spends.append({
                    "source": source,
                    "kind": value["type"],
                    "entry_id": value["input_id"],
                    "program": value.get("issuance_program") or value["control_program"],
                    "state": value.get("state_data") or [],
                    "arguments": value["witness_arguments"],
                    "sighash": value["sign_data"],
                })
        for item in value.values():
            walk(item, source)

for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.json"))):
    with open(path) as file:
        answer, source = json.load(file), os.path.basename(path)
    walk(answer, source)
    if "estimate" in answer:
        estimates.append({
            "source": source,
            "vm_neu": answer["estimate"]["data"]["vm_neu"],
            "entry_ids": [entry["input_id"] for entry in answer["decoded"]["data"]["inputs"]],
        })

def rows(items):
    return "[\n" + ",\n".join(json.dumps(item) for item in items) + "\n]"

print('{"spends": ' + rows(spends) + ',\n"estimates": ' + rows(estimates) + "}")
