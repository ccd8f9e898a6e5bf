"""Which statements of a set are authentic: well formed, and signed by the keys that have to sign them.

Being authentic is not being in force: an Add of a stolen owner key stays authentic after the owner key was replaced.
`sync.roster` decides what is in force. To be authentic only ever needs other statements to be present, never absent,
so a set that grows loses nothing (superseded Beats excepted). PROTOCOL.md, section 4.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from crdt.identifiers import DeviceId
from sync.errors import RemoteProtocolError
from sync.identifiers import RealmId, StatementHash
from sync.identity import Certificate
from sync.statements import (
    Add,
    Beat,
    Body,
    Epoch,
    Genesis,
    OwnerRotate,
    Revoke,
    Seen,
    Statement,
    decode_statement,
    realm_id_of,
    statement_hash,
    statements_of,
)

Kind = TypeVar("Kind", bound=Body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A pair of owner and root key, named by the Genesis (depth 0) or by an OwnerRotate."""

    hash: StatementHash
    depth: int
    keys: Genesis | OwnerRotate
    previous: "Authority | None"

    def chain(self) -> "list[Authority]":
        """Return this authority and all that it replaced, the latest first."""
        authorities = [self]
        while (previous := authorities[-1].previous) is not None:
            authorities.append(previous)
        return authorities


@dataclass(slots=True, kw_only=True)
class Evidence:
    """What is authentic in a set of statements. Built by `gather` and not changed afterwards."""

    realm_id: RealmId
    authority_by_hash: dict[StatementHash, Authority] = field(default_factory=dict)
    statement_by_hash: dict[StatementHash, Statement[Body]] = field(default_factory=dict)
    certificate_by_device: dict[DeviceId, Certificate] = field(default_factory=dict)
    ignored: dict[StatementHash, str] = field(default_factory=dict)
    superseded: set[StatementHash] = field(default_factory=set)

    def of(self, kind: type[Kind]) -> list[Statement[Kind]]:
        """Return the authentic statements of one kind, in order of hash."""
        return statements_of(kind, (self.statement_by_hash[found] for found in sorted(self.statement_by_hash)))

    def owner_publics(self) -> set[bytes]:
        """Return every owner key that the realm ever had."""
        return {authority.keys.owner_public for authority in self.authority_by_hash.values()}

    def ancestors(self, heads: Iterable[StatementHash]) -> set[StatementHash]:
        """Return `heads` and everything that they were made in knowledge of, as far as it is held here."""
        reached: set[StatementHash] = set()
        waiting = list(heads)
        while waiting:
            found = waiting.pop()
            statement = self.statement_by_hash.get(found)
            if statement is not None and found not in reached:
                reached.add(found)
                waiting.extend(statement.heads)
        return reached


def gather(realm_id: RealmId, raws: Iterable[bytes]) -> Evidence:
    """Return what is authentic in `raws`, whatever their order; junk is named in `ignored` with the reason.

    Raises RemoteProtocolError if the Genesis of `realm_id` is not among them.
    """
    evidence = Evidence(realm_id=realm_id)
    statements = _decode_all(evidence, raws)
    # The order matters: devices are known by their Adds, a Seen answers a Revoke, an Epoch follows membership.
    _find_genesis(evidence, statements_of(Genesis, statements))
    _follow_rotations(evidence, statements_of(OwnerRotate, statements))
    _gather_adds(evidence, statements_of(Add, statements))
    _gather_revokes(evidence, statements_of(Revoke, statements))
    _gather_seen(evidence, statements_of(Seen, statements))
    _gather_epochs(evidence, statements_of(Epoch, statements))
    _gather_beats(evidence, statements_of(Beat, statements))
    return evidence


def _decode_all(evidence: Evidence, raws: Iterable[bytes]) -> list[Statement[Body]]:
    statements: dict[StatementHash, Statement[Body]] = {}
    for raw in raws:
        try:
            statement = decode_statement(raw)
            statements[statement.hash] = statement
        except RemoteProtocolError as error:
            evidence.ignored[statement_hash(raw)] = str(error)
    return [statements[found] for found in sorted(statements)]


def _keep(evidence: Evidence, statement: Statement[Body], *publics: bytes) -> bool:
    """Enter a statement if its signatures are right, else ignore it; tell which."""
    try:
        statement.verify(evidence.realm_id, *publics)
    except RemoteProtocolError:
        evidence.ignored[statement.hash] = "a signature is not of the key it must be of"
        return False
    evidence.statement_by_hash[statement.hash] = statement
    return True


def _keep_of_author(evidence: Evidence, statement: Statement[Body], author: DeviceId) -> bool:
    certificate = evidence.certificate_by_device.get(author)
    if certificate is None:
        evidence.ignored[statement.hash] = "its author was never added"
        return False
    return _keep(evidence, statement, certificate.sign)


def _find_genesis(evidence: Evidence, statements: list[Statement[Genesis]]) -> None:
    for statement in statements:
        if realm_id_of(statement.body_raw) != evidence.realm_id:
            evidence.ignored[statement.hash] = "it founds another realm"
        elif _keep(evidence, statement, statement.body.root_public):
            found = StatementHash(evidence.realm_id)
            evidence.authority_by_hash[found] = Authority(hash=found, depth=0, keys=statement.body, previous=None)
    if not evidence.authority_by_hash:
        raise RemoteProtocolError("The statement that founded this realm is missing; nothing can be checked without.")


def _follow_rotations(evidence: Evidence, rotations: list[Statement[OwnerRotate]]) -> None:
    """Enter every OwnerRotate that the Genesis reaches through `previous`; a pass may make the next one possible."""
    waiting = rotations
    while waiting:
        later = [statement for statement in waiting if statement.body.previous not in evidence.authority_by_hash]
        for statement in waiting:
            if statement not in later:
                _enter_rotation(evidence, statement)
        if len(later) == len(waiting):
            for statement in later:
                evidence.ignored[statement.hash] = "the rotation before it is missing"
            return
        waiting = later


def _enter_rotation(evidence: Evidence, statement: Statement[OwnerRotate]) -> None:
    previous = evidence.authority_by_hash[statement.body.previous]
    if statement.body.owner_public in {authority.keys.owner_public for authority in previous.chain()}:
        evidence.ignored[statement.hash] = "it names an owner key that was already replaced"
    elif _keep(evidence, statement, previous.keys.root_public):
        evidence.authority_by_hash[statement.hash] = Authority(
            hash=statement.hash, depth=previous.depth + 1, keys=statement.body, previous=previous
        )


def _gather_adds(evidence: Evidence, statements: list[Statement[Add]]) -> None:
    owners = evidence.owner_publics()
    for statement in statements:
        certificate = statement.body.certificate
        if statement.body.owner_public not in owners:
            evidence.ignored[statement.hash] = "it is signed by a key that never was the owner's"
        elif _keep(evidence, statement, statement.body.owner_public, certificate.sign):
            evidence.certificate_by_device.setdefault(certificate.device_id, certificate)


def _gather_revokes(evidence: Evidence, statements: list[Statement[Revoke]]) -> None:
    owners = evidence.owner_publics()
    for statement in statements:
        signer = statement.body.signer
        certificate = evidence.certificate_by_device.get(statement.body.device_id)
        if signer in owners or (certificate is not None and signer == certificate.sign):
            _keep(evidence, statement, signer)
        else:
            evidence.ignored[statement.hash] = "only the owner, or the device itself, can revoke a device"


def _gather_seen(evidence: Evidence, statements: list[Statement[Seen]]) -> None:
    revokes = {revoke.hash for revoke in evidence.of(Revoke)}
    for statement in statements:
        if statement.body.revoke in revokes:
            _keep_of_author(evidence, statement, statement.body.author)
        else:
            evidence.ignored[statement.hash] = "the Revoke that it answers is missing"


def _gather_epochs(evidence: Evidence, statements: list[Statement[Epoch]]) -> None:
    """Enter epochs in the order of their numbers: each needs an ancestor whose number is one less.

    So no number can be made up: one of 2^63-1 would otherwise lock every honest device out of the next epoch.
    """
    for statement in sorted(statements, key=lambda statement: (statement.body.number, statement.hash)):
        number = statement.body.number
        if number > 1 and not _has_epoch(evidence, statement.heads, number - 1):
            evidence.ignored[statement.hash] = "no key epoch before it has the number before its own"
        else:
            _keep_of_author(evidence, statement, statement.body.author)


def _has_epoch(evidence: Evidence, heads: Iterable[StatementHash], number: int) -> bool:
    ancestors = (evidence.statement_by_hash[found] for found in evidence.ancestors(heads))
    return any(epoch.body.number == number for epoch in statements_of(Epoch, ancestors))


def _gather_beats(evidence: Evidence, statements: list[Statement[Beat]]) -> None:
    """Enter each author's latest Beat; older ones are superseded unread, so a year of them costs one signature."""
    heard: set[DeviceId] = set()
    latest_first = sorted(statements, key=lambda beat: (beat.body.at_milliseconds, beat.hash), reverse=True)
    for statement in latest_first:
        if statement.body.author in heard:
            evidence.superseded.add(statement.hash)
        elif _keep_of_author(evidence, statement, statement.body.author):
            heard.add(statement.body.author)
