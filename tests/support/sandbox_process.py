"""Run a sandbox as a process: ``sandbox_process.py <JSON arguments of Sandbox>``.

It prints one JSON line with the environment once it serves.
"""

import json
import sys

from perian_shim.sandbox import Sandbox


def announce(sandbox: Sandbox) -> None:
    print(json.dumps(sandbox.environment()), flush=True)


if __name__ == "__main__":
    Sandbox(**json.loads(sys.argv[1])).serve_forever(announce)
