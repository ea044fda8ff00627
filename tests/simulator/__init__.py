"""A NetSapiens PBX that runs on this machine and answers by the vendor's documents, quirks included."""

from .faults import Fault, FaultKind
from .model import RequestRecord, Session, SmsNumber, StoredMessage, Subscription, User
from .server import Simulator
from .settings import Settings

__all__ = [
    "Fault",
    "FaultKind",
    "RequestRecord",
    "Session",
    "Settings",
    "Simulator",
    "SmsNumber",
    "StoredMessage",
    "Subscription",
    "User",
]
