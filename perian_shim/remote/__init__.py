"""Jobs, prices and costs at Perian, for scripts and notebooks.

``init`` says who asks, if the environment does not. Every call that asks Perian waits, and has a
twin that is awaited: ``Catalogue.offers()`` and ``await Catalogue.offers.aio()``.
"""

from perian_shim.api.phases import Phase
from perian_shim.owners import JobOrigin
from perian_shim.remote.catalogue import Accelerator, Catalogue, Offer, OfferList
from perian_shim.remote.connection import Connection, init
from perian_shim.remote.jobs import Job
from perian_shim.remote.money import Credits, costs
from perian_shim.remote.quotes import Option, Quote
from perian_shim.remote.records import Amount
from perian_shim.remote.spending import CostLine, CostReport

__all__ = [
    "Accelerator",
    "Amount",
    "Catalogue",
    "Connection",
    "CostLine",
    "CostReport",
    "Credits",
    "Job",
    "JobOrigin",
    "Offer",
    "OfferList",
    "Option",
    "Phase",
    "Quote",
    "costs",
    "init",
]
