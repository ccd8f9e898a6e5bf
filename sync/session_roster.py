"""How the two ends of a session come to hold the same roster statements, before and while batches flow."""

from sync.effects import ApplyStatements
from sync.errors import RemoteProtocolError
from sync.identifiers import StatementHash
from sync.limits import MEBIBYTE, STATEMENT_BYTES_MAX, STATEMENTS_FROM_UNKNOWN_BYTES_MAX
from sync.membership import Membership
from sync.messages import Message, StatementHashes, Statements
from sync.statements import statement_hash

# A group is evaluated as one set, so it is gathered whole; a realm's whole history stays far below this.
GROUP_BYTES_MAX = 16 * MEBIBYTE
_MESSAGE_BYTES_TARGET = MEBIBYTE


class RosterExchange:
    """One session's exchange of statements.

    1. It is complete when both ends proved that their sets were equal, or when each end was sent what it lacked.
    2. Afterwards every statement that this end learns is sent at once, and none twice.
    3. Statements are handed over in whole groups: one may give another its authority.
    """

    def __init__(self) -> None:
        self._peer_has: set[StatementHash] = set()
        self._answered = False
        self._was_answered = False
        self._group: list[bytes] = []
        self._group_bytes = 0
        self._unknown_bytes_left = STATEMENTS_FROM_UNKNOWN_BYTES_MAX

    @property
    def complete(self) -> bool:
        """Whether batches may flow: every author and key epoch that either end knows, both know."""
        return self._answered and self._was_answered

    def found_equal(self, membership: Membership) -> None:
        """Both ends hold the same statements."""
        self._peer_has = set(membership.roster.raw_by_hash)
        self._answered = self._was_answered = True

    def ask(self, membership: Membership) -> StatementHashes:
        """Return the question that the peer answers with what this end lacks."""
        return StatementHashes(hashes=[bytes(name) for name in sorted(membership.roster.raw_by_hash)])

    def answer(self, hashes: list[bytes], membership: Membership) -> list[Message]:
        """Return the statements that a peer which holds `hashes` lacks. Raises RemoteProtocolError if asked twice."""
        if self._answered:
            raise RemoteProtocolError("the peer asked for the roster twice")
        self._answered = True
        self._peer_has = {StatementHash(name) for name in hashes}
        return _messages(self._news(membership))

    def tell_news(self, membership: Membership) -> list[Message]:
        """Return the statements that this end learned since, once the exchange is complete."""
        news = self._news(membership) if self.complete else []
        return _messages(news) if news else []

    def introduction(self, membership: Membership) -> list[Message]:
        """Return all statements for a peer that stays silent since it does not know this device yet."""
        raws = list(membership.roster.raw_by_hash.values())
        small_enough = sum(map(len, raws)) + 8 * len(raws) < STATEMENTS_FROM_UNKNOWN_BYTES_MAX
        return _messages(raws) if small_enough else []

    def receive(self, message: Statements, *, known: bool) -> ApplyStatements | None:
        """Return the group that `message` completes. Raises RemoteProtocolError if it is too large.

        A peer that is not `known` as a member yet has one small allowance to prove that it is one.
        """
        message_bytes = sum(map(len, message.statements))
        self._group_bytes += message_bytes
        if not known:
            self._unknown_bytes_left -= message_bytes
            if self._unknown_bytes_left < 0:
                raise RemoteProtocolError("an unknown device sent more than it needs to introduce itself")
        if self._group_bytes > GROUP_BYTES_MAX or any(len(raw) > STATEMENT_BYTES_MAX for raw in message.statements):
            raise RemoteProtocolError("the peer's roster statements are over the limit")
        self._group.extend(message.statements)
        if not message.last:
            return None
        group, self._group, self._group_bytes = tuple(self._group), [], 0
        self._peer_has.update(statement_hash(raw) for raw in group)
        self._was_answered = True
        return ApplyStatements(statements=group)

    def _news(self, membership: Membership) -> list[bytes]:
        news = [raw for name, raw in membership.roster.raw_by_hash.items() if name not in self._peer_has]
        self._peer_has.update(membership.roster.raw_by_hash)
        return news


def _messages(statements: list[bytes]) -> list[Message]:
    """Return one group of Statements, cut so that no message grows far over its target; the last may be empty."""
    messages: list[Message] = []
    piece: list[bytes] = []
    piece_bytes = 0
    for raw in statements:
        piece.append(raw)
        piece_bytes += len(raw)
        if piece_bytes >= _MESSAGE_BYTES_TARGET:
            messages.append(Statements(statements=piece, last=False))
            piece, piece_bytes = [], 0
    messages.append(Statements(statements=piece, last=True))
    return messages
