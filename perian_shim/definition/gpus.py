"""GPUs as Flyte writes them, ``"A100:8"``, and as Perian calls them, ``NVIDIA_A100_40``.

Flyte 2 and flytekit each have names of their own for a kind of GPU; Perian's are made of vendor,
model and gigabytes. Any of them will do here, in any case. What is none of these is refused with
what it may have been meant to be: a name that Perian does not know would be told only by a run.
"""

import difflib
import re
from dataclasses import dataclass

MOST = 64
"""More GPUs than any machine has."""

NAMES = {
    "A10": "NVIDIA_A10_24",
    "A10G": "NVIDIA_A10_24",
    "A40": "NVIDIA_A40_48",
    "A100": "NVIDIA_A100_40",
    "A100_80G": "NVIDIA_A100_80",
    "A5000": "NVIDIA_A5000_24",
    "A6000": "NVIDIA_A6000_48",
    "B200": "NVIDIA_B200_180",
    "H100": "NVIDIA_H100_80",
    "H200": "NVIDIA_H200_141",
    "K80": "NVIDIA_K80_12",
    "L4": "NVIDIA_L4_24",
    "L40": "NVIDIA_L40_48",
    "L40S": "NVIDIA_L40S_48",
    "P4": "NVIDIA_P4_8",
    "P100": "NVIDIA_P100_16",
    "RTX3080TI": "NVIDIA_RTX3080TI_12",
    "RTX6000": "NVIDIA_RTX6000_48",
    "T4": "NVIDIA_T4_16",
    "V100": "NVIDIA_V100_16",
    "V100S": "NVIDIA_V100S_32",
    "RX7900XTX": "AMD_RX7900XTX_24",
}
"""Flyte's names, and what other kinds would be called likewise; and Perian's: all that its official
client knows (``AcceleratorName``), but for a second spelling."""

ABSENT = {
    **dict.fromkeys(("A2", "GB10", "RTX_PRO_4500", "RTX_PRO_6000"), "GPUs of this kind"),
    **dict.fromkeys(("V5E", "V5P", "V6E"), "TPUs"),
    **dict.fromkeys(("INF1", "INF2", "TRN1", "TRN1N", "TRN2", "TRN2U"), "Neuron devices"),
    **dict.fromkeys(
        ("MI100", "MI210", "MI250", "MI250X", "MI300A", "MI300X", "MI325X", "MI350X", "MI355X"),
        "GPUs of this kind",
    ),
    **dict.fromkeys(("GAUDI1",), "Gaudi devices"),
    **dict.fromkeys(("APPLESILICON",), "Apple machines"),
}
"""What Flyte knows and Perian does not rent, as far as is known; and what that is."""

_PERIANS = re.compile(r"[A-Z]+_[A-Z0-9]+_\d+")
_COUNTED = re.compile(r"(?P<name>[^:]+?)\s*(?::\s*(?P<count>\d+)\s*)?")

OTHERWISE = "any that Perian has can be named as it does, like NVIDIA_A100_80"


@dataclass(frozen=True)
class Gpus:
    """GPUs.

    Attributes:
        count: how many.
        kind: Perian's name for the kind, None for any.
    """

    count: int
    kind: str | None = None


def parse_gpu(value: object) -> Gpus:
    """Read what Flyte's ``Resources`` takes for ``gpu``.

    Args:
        value: a number of GPUs of any kind, or text like ``"A100:8"``; without a number, one.

    Raises:
        TypeError: it is neither.
        ValueError: it cannot be rented; the message says why and what else to write.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        message = f'gpu: expected a number or text like "A100:8", got {type(value).__name__}'
        raise TypeError(message)
    if isinstance(value, int):
        return Gpus(counted(value, value))
    match = _COUNTED.fullmatch(value.strip())
    if match is None:
        raise ValueError(f'gpu: expected a number or text like "A100:8", got {value!r}')
    return Gpus(counted(int(match["count"] or 1), value), perian_name(match["name"]))


def counted(count: int, value: object) -> int:
    """Expect a number of GPUs that a machine can have."""
    if not 1 <= count <= MOST:
        raise ValueError(f"gpu: expected 1 to {MOST} GPUs, got {value!r}")
    return count


def perian_name(name: str, argument: str = "gpu") -> str:
    """Return Perian's name for a kind of GPU.

    Args:
        name: as Flyte or Perian calls it.
        argument: what messages begin with.

    Raises:
        ValueError: there is none such.
    """
    plain = re.sub(r"[\s-]+", "_", name.strip().upper())
    plain = re.sub(r"(_\d+G)B$", r"\1", plain)
    short = re.sub(r"^NVIDIA_(TESLA_)?", "", plain)  # flytekit's names of devices
    if short in NAMES:
        return NAMES[short]
    if plain in NAMES.values():
        return plain
    if plain.endswith("_SHARED"):
        raise ValueError(f"{argument}: Perian rents whole GPUs, not shares of one, got {name!r}")
    if plain in ABSENT:
        raise ValueError(f"{argument}: Perian rents no {ABSENT[plain]}, got {name!r}; {OTHERWISE}")
    if _PERIANS.fullmatch(plain):  # made as Perian's names are: it may be a new one
        return plain
    known = {**{key: key for key in NAMES}, **{each: each for each in NAMES.values()}}
    near = difflib.get_close_matches(plain, known, n=1, cutoff=0.6)
    meant = f"; did you mean {near[0]!r}?" if near else f", but one of {', '.join(NAMES)}"
    raise ValueError(f"{argument}: Perian has no {name!r}{meant} ({OTHERWISE})")
