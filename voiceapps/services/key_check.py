"""Whether this process holds the keys of its database.

With lost or other keys, passwords would be unreadable and nodes would refuse each other's nonces, routes and tokens, long after the
start and without a word of the cause. So the first process leaves fingerprints of its keys, and each later one compares its own.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Collection, Iterator

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, models, transaction

from voiceapps import fields
from voiceapps.models import KeyCheck

FIELD_KEYS = "SIPURI_FIELD_KEYS"
ROUTE_KEYS = "SIPURI_ROUTE_KEY"
TOKEN_KEYS = "SIPURI_TOKEN_KEYS"  # noqa: S105  # a variable's name
REPLACEABLE = ("SIPURI_SECRET_KEY", "SIPURI_NONCE_KEY", ROUTE_KEYS, "SIPURI_WEBHOOK_KEY", TOKEN_KEYS)
"""The variables of the keys that have fingerprints."""
LISTS = frozenset({ROUTE_KEYS, TOKEN_KEYS})
"""Those that may name several keys, and so change one by one."""

Fingerprints = dict[str, list[str]]
_DIFFERS = {ROUTE_KEYS: "does not fit the one", TOKEN_KEYS: "shares no key with the one"}


class KeysDiffer(ImproperlyConfigured):
    """A line for each key that is not the one of this database."""


def ensure(*, replaced: Collection[str] = (), learn: bool = True) -> None:
    """Compare our keys, but for those that are replaced, with the database's, or leave them as its first ones; raises KeysDiffer.

    Of processes that come first together one leaves its keys, and the others compare theirs. `learn` stores the fingerprints of keys
    that were replaced, and of those that change one by one.
    """
    row = _row() or _created()
    faults = list(_faults(row, replaced))
    if faults:
        raise KeysDiffer("\n".join(faults))
    ours = _fingerprints()
    if learn and (replaced or any(row.fingerprints[variable] != ours[variable] for variable in LISTS)):
        _learn(ours, LISTS.union(replaced))


def ensure_if_migrated() -> None:
    """Do the same in a database that may not have the table yet; raises KeysDiffer."""
    if KeyCheck._meta.db_table in connection.introspection.table_names():
        ensure()


def encrypted_fields() -> Iterator[tuple[type[models.Model], str]]:
    """Return the model and the name of each encrypted field; that of the key check comes last."""
    found = sorted(apps.get_app_config("voiceapps").get_models(), key=lambda model: (model is KeyCheck, model.__name__))
    for model in found:
        for field in model._meta.local_concrete_fields:
            if isinstance(field, fields.EncryptedTextField):
                yield model, field.name


def stored_tokens(model: type[models.Model], name: str) -> models.QuerySet[models.Model]:
    """Return the rows in which a field is not empty, each with what is stored of it as `stored_token`."""
    rows = model._base_manager.annotate(stored_token=fields.stored(name))
    return rows.exclude(stored_token="").order_by("pk")


def _row() -> KeyCheck | None:
    """Return the row without its sentinel, which may be unreadable."""
    return KeyCheck.objects.defer("sentinel").annotate(stored_token=fields.stored("sentinel")).first()


def _created() -> KeyCheck:
    unread = [f"{model.__name__}.{name}" for model, name in encrypted_fields() if not _readable(model, name)]
    if unread:
        raise KeysDiffer(f"{_lost_field_keys()} It cannot read {', '.join(unread)}.")
    KeyCheck.objects.bulk_create([KeyCheck(sentinel="sipuri", fingerprints=_fingerprints())], ignore_conflicts=True)
    row = _row()
    if row is None:
        raise KeysDiffer("The key check was removed while it was made.")
    return row


def _readable(model: type[models.Model], name: str) -> bool:
    token = stored_tokens(model, name).values_list("stored_token", flat=True).first()
    return token is None or fields.opens(token)


def _faults(row: KeyCheck, replaced: Collection[str]) -> Iterator[str]:
    if not fields.opens(row.stored_token):  # type: ignore[attr-defined]  # an annotation
        yield _lost_field_keys()
    ours = _fingerprints()
    for variable in REPLACEABLE:
        if variable not in replaced and not _fits(variable, ours[variable], row.fingerprints[variable]):
            yield (
                f"{variable} {_DIFFERS.get(variable, 'is not the one')} that this database's processes use. Set theirs; "
                f"if you replace it everywhere, run `manage.py rotatekeys --replace {variable}` once."
            )


def _fits(variable: str, ours: list[str], theirs: list[str]) -> bool:
    """Return whether a process with our keys works with one that has theirs: of token keys it is enough that one is the same."""
    if variable == TOKEN_KEYS:
        return not set(ours).isdisjoint(theirs)
    # Each verifies what the other writes, which it does with its first key.
    return ours[0] in theirs and theirs[0] in ours


def _lost_field_keys() -> str:
    return f"{FIELD_KEYS} has no key that opens what this database holds. Add the key that wrote it, behind your own if you have a new one."


def _learn(ours: Fingerprints, variables: Collection[str]) -> None:
    with transaction.atomic():
        row = KeyCheck.objects.defer("sentinel").select_for_update().get()
        row.fingerprints = {**row.fingerprints, **{name: ours[name] for name in variables}}
        row.save(update_fields=["fingerprints"])


def _fingerprints() -> Fingerprints:
    keys: dict[str, list[bytes]] = {
        "SIPURI_SECRET_KEY": [settings.SECRET_KEY.encode()],
        "SIPURI_NONCE_KEY": [settings.SIPURI_NONCE_KEY],
        ROUTE_KEYS: list(settings.ROUTE_KEYS),
        "SIPURI_WEBHOOK_KEY": [settings.SIPURI_WEBHOOK_KEY],
        TOKEN_KEYS: [json.dumps(key, sort_keys=True).encode() for key in json.loads(settings.SIPURI_TOKEN_KEYS)["keys"]],
    }
    return {
        name: [hmac.new(key, f"key check {name}".encode(), hashlib.sha256).hexdigest()[:32] for key in held] for name, held in keys.items()
    }
