"""The messages that could go, but wait until fewer are active: by turns, so that no caller holds up another."""

from collections import OrderedDict
from collections.abc import Hashable


class ReadyMessages[MessageT: Hashable]:
    """Messages that wait to become active, by caller."""

    def __init__(self) -> None:
        self._by_caller: OrderedDict[Hashable, dict[MessageT, None]] = OrderedDict()  # the one served longest ago first

    def __bool__(self) -> bool:
        """Whether any waits."""
        return bool(self._by_caller)

    def add(self, message: MessageT, caller: Hashable) -> None:
        """Let a message wait behind its caller's others."""
        self._by_caller.setdefault(caller, {})[message] = None

    def discard(self, message: MessageT, caller: Hashable) -> None:
        """Forget a message that waits no longer."""
        messages = self._by_caller.get(caller, {})
        messages.pop(message, None)
        if not messages:
            self._by_caller.pop(caller, None)

    def pop(self) -> MessageT:
        """Take the message whose turn it is; one must wait."""
        caller, messages = self._by_caller.popitem(last=False)
        message = next(iter(messages))
        del messages[message]
        if messages:
            self._by_caller[caller] = messages
        return message
