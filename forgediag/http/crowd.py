"""All clients of one server: when there are too many, the one that has been silent longest makes room."""

from __future__ import annotations

from typing import Protocol


class Client(Protocol):
    """A connection as the crowd sees it."""

    @property
    def busy(self) -> bool:
        """Whether it waits for an answer that is being worked on."""
        ...

    def abort(self) -> None:
        """Drop it at once."""
        ...


class Crowd:
    """The connections of a server, the one longest silent first, and how many each address has.

    A newcomer is never locked out by others that only sit there: of the address that has most connections, the one
    silent longest is dropped. So ten thousand silent connections from one place cost that place its own.
    """

    def __init__(self, limit: int) -> None:
        """Let `limit` connections in at once."""
        self._limit = limit
        self._clients: dict[Client, str] = {}
        self._count: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def join(self, client: Client, address: str) -> bool:
        """Let a client in, if need be in another's place. False: every other one is being answered right now."""
        if len(self._clients) >= self._limit and not self.make_room():
            return False
        self._clients[client] = address
        self._count[address] = self._count.get(address, 0) + 1
        return True

    def heard(self, client: Client) -> None:
        """A client has been answered: it is the last one to make room."""
        if (address := self._clients.pop(client, None)) is not None:
            self._clients[client] = address

    def leave(self, client: Client) -> None:
        """A client has gone."""
        address = self._clients.pop(client, None)
        if address is None:
            return
        self._count[address] -= 1
        if not self._count[address]:
            del self._count[address]

    def make_room(self) -> bool:
        """Drop the longest silent connection of the address that has most; False when none can be dropped."""
        for address in sorted(self._count, key=lambda each: -self._count[each]):
            for client, where in self._clients.items():
                if where == address and not client.busy:
                    self.leave(client)
                    client.abort()
                    return True
        return False

    def clear(self) -> None:
        """Drop everybody."""
        for client in tuple(self._clients):
            client.abort()
