"""The sandbox's instance and accelerator types: realistic, invented, always the same.

Memory is in GB, prices are per hour in the currency given, in whatever steps the provider counts.
Identifiers are derived from the names (UUID version 5), so that they are the same in every sandbox.
"""

import uuid
from dataclasses import dataclass
from decimal import Decimal

NAMESPACE = uuid.UUID("6f1f2d2e-6d3c-5d0b-9a53-0d8d3b1c9e77")


def stable_id(kind: str, name: str) -> str:
    """Give the identifier of a catalogue entry."""
    return str(uuid.uuid5(NAMESPACE, f"{kind}/{name}"))


@dataclass(frozen=True)
class AcceleratorType:
    """A kind of accelerator.

    Attributes:
        name: the platform's name: vendor, model and memory joined by underscores.
    """

    name: str

    @property
    def id(self) -> str:
        """The identifier."""
        return stable_id("accelerator-type", self.name)

    @property
    def vendor(self) -> str:
        """First part of the name."""
        return self.name.split("_")[0]

    @property
    def model(self) -> str:
        """Middle part of the name, like "A100"."""
        return self.name.split("_")[1]

    @property
    def memory_gb(self) -> int:
        """Last part of the name."""
        return int(self.name.split("_")[2])

    @property
    def display_name(self) -> str:
        """The name for people."""
        return f"{self.vendor} {self.model} {self.memory_gb}GB"

    def called(self, name: str) -> bool:
        """Tell whether a user may mean this type by ``name``.

        Besides the full name: without vendor, without memory, or the model alone; in any case, with
        spaces or hyphens for underscores. "L4" does not mean an L40.
        """
        asked = name.strip().upper().replace("-", "_").replace(" ", "_")
        model, memory = self.model.upper(), str(self.memory_gb)
        forms = (model, f"{model}_{memory}", f"{model}_{memory}GB")
        vendor = self.vendor.upper()
        return asked in {*forms, *(f"{vendor}_{form}" for form in forms)}


@dataclass(frozen=True)
class Provider:
    """A cloud provider.

    Attributes:
        billed_by: in steps of what its machines are paid for, each begun one counting.
    """

    name: str
    short: str
    location: str
    billed_by: str = "PER_HOUR"

    @property
    def id(self) -> str:
        """The identifier."""
        return stable_id("provider", self.name)


@dataclass(frozen=True)
class Region:
    """A provider's region.

    Attributes:
        location: country code.
    """

    name: str
    city: str
    location: str
    sustainable: bool = False

    @property
    def id(self) -> str:
        """The identifier."""
        return stable_id("region", self.name)

    @property
    def zone_id(self) -> str:
        """The identifier of its only zone."""
        return stable_id("zone", self.name)


@dataclass(frozen=True)
class InstanceType:
    """Something that can be rented; its price is that of an hour."""

    name: str
    provider: Provider
    region: Region
    cores: int
    ram_gb: int
    price: Decimal
    currency: str
    accelerators: int = 0
    accelerator: AcceleratorType | None = None
    available: bool = True

    @property
    def id(self) -> str:
        """The identifier."""
        return stable_id("instance-type", f"{self.provider.short}/{self.region.name}/{self.name}")


ACCELERATORS = tuple(
    AcceleratorType(name)
    for name in (
        "NVIDIA_H100_80",
        "NVIDIA_A100_80",
        "NVIDIA_A100_40",
        "NVIDIA_L40S_48",
        "NVIDIA_L40_48",
        "NVIDIA_A40_48",
        "NVIDIA_V100_16",
        "NVIDIA_L4_24",
        "NVIDIA_T4_16",
    )
)
H100, A100_80, A100_40, L40S, L40, A40, V100, L4, T4 = ACCELERATORS

OTC = Provider("Open Telekom Cloud", "OTC", "DE")
OVH = Provider("OVH Cloud", "OVH", "FR", "PER_MINUTE")
GCP = Provider("Google Cloud Platform", "GCP", "US", "PER_SECOND")
DATACRUNCH = Provider("DataCrunch", "DC", "FI", "PER_10_MINUTES")
EXOSCALE = Provider("Exoscale", "EXO", "CH", "PER_SECOND")

BIERE = Region("eu-de", "Biere", "DE")
AMSTERDAM = Region("eu-nl", "Amsterdam", "NL")
GRAVELINES = Region("GRA11", "Gravelines", "FR")
WARSAW = Region("WAW1", "Warsaw", "PL")
FRANKFURT = Region("europe-west3", "Frankfurt", "DE")
EEMSHAVEN = Region("europe-west4", "Eemshaven", "NL")
IOWA = Region("us-central1", "Council Bluffs", "US")
HELSINKI = Region("FIN-01", "Helsinki", "FI", sustainable=True)
GENEVA = Region("ch-gva-2", "Geneva", "CH", sustainable=True)
VIENNA = Region("at-vie-2", "Vienna", "AT", sustainable=True)


def offer(
    name: str,
    provider: Provider,
    region: Region,
    size: tuple[int, int],
    price: str,
    *accelerators: tuple[int, AcceleratorType],
    available: bool = True,
) -> InstanceType:
    """Give an instance type; ``size`` is cores and GB, ``price`` like "1.20 EUR"."""
    amount, currency = price.split()
    count, kind = accelerators[0] if accelerators else (0, None)
    return InstanceType(
        name, provider, region, *size, Decimal(amount), currency, count, kind, available
    )


INSTANCE_TYPES = (
    offer("s3.medium.2", OTC, BIERE, (1, 2), "0.028 EUR"),
    offer("s3.xlarge.4", OTC, BIERE, (4, 16), "0.171 EUR"),
    offer("s3.4xlarge.4", OTC, AMSTERDAM, (16, 64), "0.684 EUR"),
    offer("pi2.2xlarge.4", OTC, BIERE, (8, 32), "1.187 EUR", (1, T4)),
    offer("p2v.8xlarge.8", OTC, BIERE, (32, 256), "9.420 EUR", (4, V100)),
    offer("b3-32", OVH, GRAVELINES, (8, 32), "0.203 EUR"),
    offer("l4-90", OVH, GRAVELINES, (22, 90), "0.750 EUR", (1, L4)),
    offer("l40s-90", OVH, WARSAW, (15, 90), "1.400 EUR", (1, L40S)),
    offer("h100-380", OVH, GRAVELINES, (30, 380), "2.800 EUR", (1, H100)),
    offer("e2-standard-2", GCP, FRANKFURT, (2, 8), "0.086 USD"),
    offer("n1-standard-8-t4", GCP, EEMSHAVEN, (8, 30), "0.812 USD", (1, T4)),
    offer("g2-standard-24", GCP, IOWA, (24, 96), "1.998 USD", (2, L4)),
    offer("a2-highgpu-1g", GCP, IOWA, (12, 85), "3.673 USD", (1, A100_40)),
    offer("a2-ultragpu-8g", GCP, EEMSHAVEN, (96, 1360), "44.960 USD", (8, A100_80)),
    offer("1A100.22V", DATACRUNCH, HELSINKI, (22, 120), "1.290 USD", (1, A100_80)),
    offer("8H100.80S.176V", DATACRUNCH, HELSINKI, (176, 1480), "18.320 USD", (8, H100)),
    offer("1L40.20V", DATACRUNCH, HELSINKI, (20, 60), "1.100 USD", (1, L40), available=False),
    offer("standard.large", EXOSCALE, GENEVA, (4, 8), "0.117 EUR"),
    offer("gpua40.small", EXOSCALE, VIENNA, (12, 56), "1.840 EUR", (1, A40)),
)
