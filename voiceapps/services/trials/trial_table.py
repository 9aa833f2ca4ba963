"""Trials in their table: ordered, claimed by one worker, a few of each account, ended once, and deleted after a day.

Like a delivery of a webhook, a trial that the broker does not announce is found in the table. One whose worker died is not run again:
it may be what the worker died of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from django.db import models, transaction
from django.utils import timezone

from voiceapps.choices import TrialState
from voiceapps.models import Account
from voiceapps.models.trials import Trial

KEPT = timedelta(days=1)
MAX_LOOKED_AT = 500
"""Trials that one claim looks at: those of 25 accounts at least."""
NO_WORKER = "The process that ran it has ended."

Row = TypeVar("Row", bound=Trial)


class TooManyOpenError(Exception):
    """The account has too many trials that have not ended."""


@dataclass(frozen=True, slots=True)
class TrialTable(Generic[Row]):
    """The trials of one kind; the limits are those of one account."""

    model: type[Row]
    max_kept: int
    max_open: int
    max_running: int
    lost_after: timedelta
    """When a trial that is running has no worker any more."""

    def make_room(self, account_id: str) -> None:
        """Have room for one more trial of an account, within the caller's transaction; raises TooManyOpenError."""
        # Two orders of one account are counted one after the other.
        Account.objects.select_for_update(no_key=True).get(pk=account_id)
        if self._rows().exclude(state=TrialState.ENDED).filter(account=account_id).count() >= self.max_open:
            raise TooManyOpenError(account_id)
        ended = self._rows().filter(account=account_id, state=TrialState.ENDED)
        old = list(ended.order_by("-created_at").values_list("pk", flat=True)[self.max_kept - self.max_open :][: self.max_kept])
        self._rows().filter(pk__in=old).delete()

    def claim(self, places: int) -> list[Row]:
        """Claim as many trials that wait as there are places, the oldest first; secrets are not read."""
        with transaction.atomic():
            return [
                row for row in self._choose(places) if self._turn(row.pk, TrialState.WAITING, TrialState.RUNNING, began_at=timezone.now())
            ]

    def give_back(self, keys: Iterable[object]) -> None:
        """Have trials that were claimed run by another process."""
        running = self._rows().filter(pk__in=list(keys), state=TrialState.RUNNING)
        running.update(state=TrialState.WAITING, began_at=None)

    def end(self, key: object, **values: object) -> None:
        """Store what came of a trial, unless it was given up meanwhile."""
        self._turn(key, TrialState.RUNNING, TrialState.ENDED, ended_at=timezone.now(), **values)

    def sweep(self, **lost: object) -> None:
        """End the trials whose process has ended, with the given values, and delete old ones."""
        now = timezone.now()
        running = self._rows().filter(state=TrialState.RUNNING, began_at__lt=now - self.lost_after)
        running.update(state=TrialState.ENDED, ended_at=now, **lost)
        self._rows().filter(created_at__lt=now - KEPT).delete()

    def _rows(self) -> models.QuerySet[Row]:
        return self.model._default_manager.all()

    def _choose(self, places: int) -> list[Row]:
        running = Counter(self._rows().filter(state=TrialState.RUNNING).values_list("account", flat=True))
        full = [account for account, number in running.items() if number >= self.max_running]
        waiting = self._rows().filter(state=TrialState.WAITING).exclude(account__in=full).order_by("created_at")
        chosen: list[Row] = []
        for row in waiting.defer(*self.model.SECRETS)[:MAX_LOOKED_AT]:
            if len(chosen) == places:
                break
            if running[row.account_id] < self.max_running:
                running[row.account_id] += 1
                chosen.append(row)
        return chosen

    def _turn(self, key: object, before: TrialState, after: TrialState, **values: object) -> bool:
        """Change the state of a trial; False if another process was quicker."""
        return bool(self._rows().filter(pk=key, state=before).update(state=after, **values))
