"""A NetSapiens PBX that runs on this machine and answers by the vendor's documents, quirks included."""

from .faults import Fault, FaultKind
from .model import RequestRecord, Session, SmsNumber, StoredMessage, Subscription, User
from .server import Simulator
from .settings import Settings
from .tokens import ApiKey

__all__ = [
    "ApiKey",
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
