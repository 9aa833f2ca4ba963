"""Who follows a call in the background, by its audio: streams and transcriptions.

A follower is wanted by its verb, opened at the answer at the earliest, and over when it fails, when it is stopped or when the call ends.
A call has as many tracks to give away as `MAX_TRACKS` says, to each kind of followers; names are unique among those that go on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from callflow.bxml import Webhook
from callflow.engine.effects import Effect
from callflow.engine.limits import MAX_TRACKS
from voiceapps.rules.webhook_bodies import CallView

View = Callable[[float], CallView]
"""Returns what webhooks say of the call at a moment."""


@dataclass(slots=True)
class Follower:
    """One that is wanted, opening or open."""

    number: str
    name: str
    tracks: tuple[str, ...]
    events: Webhook | None
    """Hears what becomes of it; its URL is absolute."""
    opening: bool = False
    started_at: float | None = None
    """Epoch seconds, once it is open."""
    closing: bool = False


F = TypeVar("F", bound=Follower)


class Followers(ABC, Generic[F]):
    """The followers of one kind that a call has; `emit` queues what the shell has to do."""

    def __init__(self, emit: Callable[[Effect], None], view: View) -> None:
        self._emit = emit
        self._followers: dict[str, F] = {}
        self._is_answered = False
        self._view = view

    def __len__(self) -> int:
        return len(self._followers)

    def answered(self) -> None:
        """Open what has waited for the answer."""
        self._is_answered = True
        self._open_waiting()

    def named(self, name: str) -> str | None:
        """Return the number of the latest one of this name, which may be about to close; None if there is none."""
        return next((follower.number for follower in reversed(self._followers.values()) if follower.name == name), None)

    def stop(self, name: str) -> None:
        """Close one; a name that is not there is ignored."""
        follower = self._followers.get(self.named(name) or "")
        if follower is not None:
            self._stop(follower)

    def stop_all(self) -> None:
        """Close all."""
        for follower in list(self._followers.values()):
            self._stop(follower)

    def opened(self, number: str, now: float) -> None:
        """Take note that one is open."""
        follower = self._followers.get(number)
        if follower is not None:
            view = self._view(now)
            follower.started_at = view.at
            self._tell_started(follower, view)

    def over(self, number: str, cause: str, sentence: str, now: float) -> None:
        """Take note that one is over, or could not be opened: `closed`, `connection-error` or `error`, and why."""
        follower = self._followers.pop(number, None)
        if follower is None:
            return
        if follower.started_at is None and not follower.closing:
            self._tell_rejected(follower, self._view(now), cause, sentence)
        else:
            self._tell_stopped(follower, self._view(now), cause, sentence)
        if self._is_answered:
            self._open_waiting()

    def _begin(self, follower: F, now: float, *, answered: bool) -> None:
        """Have one open, at the answer at the earliest; one that the call cannot have is told as rejected."""
        others = [other for other in self._followers.values() if not other.closing]
        if any(other.name == follower.name for other in others):
            self._tell_rejected(follower, self._view(now), "duplicate", f"The call has one called {follower.name} already.")
        elif sum(len(other.tracks) for other in others) + len(follower.tracks) > MAX_TRACKS:
            self._tell_rejected(follower, self._view(now), "track-limit", f"The call would give away more than {MAX_TRACKS} tracks.")
        else:
            self._followers[follower.number] = follower
            if answered:
                self.answered()

    def _stop(self, follower: F) -> None:
        if not follower.opening:
            del self._followers[follower.number]
        elif not follower.closing:
            follower.closing = True
            self._close(follower)

    def _open_waiting(self) -> None:
        """Open what waits, as far as those that are being closed have given their tracks back."""
        for follower in self._followers.values():
            held = sum(len(other.tracks) for other in self._followers.values() if other.opening)
            if not follower.opening and held + len(follower.tracks) <= MAX_TRACKS:
                follower.opening = True
                self._open(follower)

    @abstractmethod
    def _open(self, follower: F) -> None:
        """Have the shell open one."""

    @abstractmethod
    def _close(self, follower: F) -> None:
        """Have the shell close one."""

    @abstractmethod
    def _tell_started(self, follower: F, view: CallView) -> None:
        """Report that one is open."""

    @abstractmethod
    def _tell_rejected(self, follower: F, view: CallView, cause: str, sentence: str) -> None:
        """Report that one was never open."""

    @abstractmethod
    def _tell_stopped(self, follower: F, view: CallView, cause: str, sentence: str) -> None:
        """Report that one is over."""
