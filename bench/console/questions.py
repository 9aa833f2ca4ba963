"""What is asked: every page that answers GET, with its tabs and filters, the worst of them by name.

A path holds names of `rows.known.known()` in braces. A test holds this against the console's routes: what is not asked here stands in
`UNASKED` with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

ADMIN, BOUND, VIEWER = "admin", "bound", "viewer"
"""Who asks: somebody who sees everything, somebody who sees one account, and somebody who sees no personal data."""


@dataclass(frozen=True, slots=True)
class Question:
    """A page, as somebody asks for it."""

    name: str
    path: str
    """Behind `/console/`."""
    who: str = ADMIN
    is_live: bool = False
    """Whether it is the part of a page that is asked for every other second."""

    def url(self, known: Mapping[str, str]) -> str:
        """Return the path with what its names stand for."""
        return f"/console/{self.path.format(**{name: quote(value) for name, value in known.items()})}"


def _records(kind: str) -> str:
    """Return the path of the theme's list of records."""
    return f"voiceapps/{kind}/"


PAGES = {
    "overview": "",
    "live": "live/",
    "live, end a call": "live/{open}/end",
    "call": "calls/{call}/",
    "calls' files": "calls/files/",
    "security": "security/",
    "nodes": "nodes/",
    "health": "health/",
    "application, new": "apps/new",
    "application, password": "apps/{application}/password",
    "application, placed call": "apps/{application}/placed/{placed}/",
    "application, what a phone heard": "apps/{application}/placed/{placed}/heard.wav",
    "account, signing secret": "accounts/9800003/signing-secret/",
    "account, change log": f"{_records('account')}9800003/history/",
    "time zone": "zone/",
    "password": "password_change/",
    "second factor": "second-factor/",
    "second factor, recovery codes": "second-factor/recovery-codes/",
}
TABS = {
    "calls/{call}/": ("ladder", "media", "webhooks", "timeline", "policy", "recordings", "related"),
    "calls/{heavy}/": ("ladder", "webhooks", "timeline"),
    "apps/{application}/": ("settings", "setup", "trials", "log"),
}
ORDERS = ("rotate", "disable", "delete")
CALLS = {
    "of a day": "since=24h",
    "of 31 days": "since=31d",
    "the last page": "since=31d&after={last_call}",
    "bad ones": "since=31d&verdict=bad",
    "a rare verdict": "since=31d&verdict=node_lost",
    "a verdict of nobody": "since=31d&verdict=no_relay",
    "an account": "since=31d&account=9800003",
    "an account, bad ones": "since=31d&account=9800003&verdict=bad",
    "an account of nobody": "since=31d&account=404",
    "an application": "since=31d&app={application}",
    "an application, a verdict of nobody": "since=31d&app={application}&verdict=no_relay",
    "an address": "ip=203.0.17.17",
    "an address of nobody": "ip=192.0.2.1",
    "an address, a verdict of nobody": "ip=203.0.17.17&verdict=no_relay",
    "a number": "number=49300000017",
    "digits in front": "since=31d&number=493000000*",
    "digits in front of nobody": "since=31d&number=999*",
    "digits in front of all, a verdict of nobody": "since=31d&number=4930*&verdict=no_relay",
    "a SIP Call-ID": "id={sip_call_id}",
}
WEBHOOKS = {
    "all": "",
    "the last page": "after={last_delivery}",
    "failed": "state=failed",
    "pending, of which there are none": "state=pending",
    "delivered": "state=delivered",
    "an account": "account=9800003",
    "an account, failed": "account=9800003&state=failed",
    "an application": "app={application}",
    "an application, failed": "app={application}&state=failed",
    "a host of nobody": "host=nowhere.example",
    "an event of nobody": "event=transferAnswer",
    "a call": "call={heavy}",
}
REFUSED = {
    "of an hour": "since=1h",
    "of a day": "",
    "of a week": "since=7d",
    "a reason": "since=7d&reason=digest_wrong",
    "a reason of nobody": "since=7d&reason=capacity",
    "an application": "since=7d&app={application}",
    "an application, a reason of nobody": "since=7d&app={application}&reason=region_not_allowed",
    "an address": "since=7d&ip={source}",
    "an address of nobody": "since=7d&ip=192.0.2.1",
}
AUDIT = {
    "all": "",
    "the last page": "below={last_entry}",
    "an account": "account=9800003",
    "the installation": "account=-",
    "a subject": "subject={application}",
    "a subject of nobody": "subject=nothing",
    "an actor": "actor=operator+person-7",
    "an action": "action=ban.place",
    "an action of nobody": "action=nothing",
    "an account, an action of nobody": "account=9800003&action=nothing",
    "an actor, an action of nobody": "actor=operator+person-7&action=nothing",
}
APPS = {
    "all": "",
    "the last page": "after={last_application}",
    "an account": "account=9800003",
    "a part of a name": "name=App+1",
    "a name of nobody": "name=nothing",
    "an id": "name={application}",
}
SEARCH = {
    "a call": "s={call}",
    "a SIP Call-ID": "s={sip_call_id}",
    "an address": "s=203.0.17.17",
    "a number": "s=49300000017",
    "an application": "s={application}",
    "a webhook": "s={delivery}",
    "a name": "s=App+1",
    "nothing": "s=there+is+no+such+thing",
}
LISTS = {
    "calls": ("calls/", CALLS),
    "webhooks": ("webhooks/", WEBHOOKS),
    "refused": ("refused/", REFUSED),
    "audit": ("audit/", AUDIT),
    "applications": ("apps/", APPS),
    "search": ("search/", SEARCH),
    "webhook": ("webhooks/{delivery}/", {"one": ""}),
    "bench": ("bench/", {"empty": "", "would it enter?": "app={application}&ip=192.0.2.1", "a document": "delivery={delivery}"}),
}
RECORDS = {
    "recordings": (_records("recording"), "q={recording}", "q=r-nothing", "p=40"),
    "transcriptions": (_records("transcription"), "q={transcription}", "status__exact=error", "p=40"),
    "simulated calls": (_records("callsimulation"), "q={application}", "state__exact=waiting", "p=40"),
    "accounts": (_records("account"), "q=nothing"),
    "API clients": (_records("apiclient"), "q=nothing", "p=9"),
    "operators": ("auth/user/", "q=nothing", "is_active__exact=0", "p=3"),
}
"""The theme's lists, each with what is searched, filtered and turned to."""
BY_OTHERS = (
    *(Question(f"{name}, bound", path, BOUND) for name, path in {"overview": "", "live": "live/", "calls": "calls/?since=31d"}.items()),
    Question("calls, a verdict of nobody, bound", "calls/?since=31d&verdict=no_relay", BOUND),
    Question("webhooks, bound", "webhooks/", BOUND),
    Question("refused, bound", "refused/?since=7d", BOUND),
    Question("refused, a reason of nobody, bound", "refused/?since=7d&reason=capacity", BOUND),
    Question("audit, bound", "audit/", BOUND),
    Question("audit, an action of nobody, bound", "audit/?action=nothing", BOUND),
    Question("applications, bound", "apps/", BOUND),
    Question("search, an address, bound", "search/?s=203.0.17.17", BOUND),
    Question("recordings, bound", _records("recording"), BOUND),
    Question("transcriptions, bound", _records("transcription"), BOUND),
    Question("overview, viewer", "", VIEWER),
    Question("calls, viewer", "calls/?since=31d", VIEWER),
    Question("call, viewer", "calls/{heavy}/", VIEWER),
    Question("refused, viewer", "refused/?since=7d", VIEWER),
)
LIVE = (
    Question("overview, live part", "?live=1", is_live=True),
    Question("live, live part", "live/?live=1", is_live=True),
    Question("nodes, live part", "nodes/?live=1", is_live=True),
    Question("overview, live part, bound", "?live=1", BOUND, is_live=True),
    Question("live, live part, bound", "live/?live=1", BOUND, is_live=True),
)
UNASKED = {
    "admin:index": "the overview has its address",
    "admin:app_list": "links, and nothing of the database",
    "admin:jsi18n": "words of the theme, and nothing of the database",
    "admin:search": "the search of ours has its address",
    "admin:login": "the page of ours has its address",
    "admin:password_change": "the page of ours has its address",
    "admin:password_change_done": "a sentence, and nothing of the database",
    "admin:autocomplete": "nobody may ask for it",
    "admin:view_on_site": "it answers 404",
    "admin:auth_user_password_change": "one row by its key",
    "console:login": "whoever asks here has logged in",
    "console:login_code": "whoever asks here has logged in",
    "console:enrolment_link": "it works once, and answers 404 ever after",
    "console:call_file": "a file, and one row by its key",
    "console:call_pcap": "a file, whose length is what a call's is",
    "console:recording": "a file, and one row by its key",
    "admin:voiceapps_call_changelist": "it leads to the list of ours",
}
"""What answers GET and is not asked, with the reason. Forms and pages of single records of the theme read one row by its key."""


def questions() -> Iterator[Question]:
    """Yield everything that is asked."""
    for name, path in PAGES.items():
        yield Question(name, path)
    for path, tabs in TABS.items():
        yield from (Question(f"{_SUBJECTS[path]}, {tab}", f"{path}?tab={tab}") for tab in tabs)
    yield from (Question(f"application, {order}?", f"apps/{{application}}/{order}") for order in ORDERS)
    for name, (path, filters) in LISTS.items():
        yield from (Question(f"{name}, {what}", f"{path}?{query}" if query else path) for what, query in filters.items())
    for name, (path, *queries) in RECORDS.items():
        yield Question(name, path)
        yield from (Question(f"{name}, {query}", f"{path}?{query}") for query in queries)
    yield from BY_OTHERS
    yield from LIVE


_SUBJECTS = {"calls/{call}/": "call", "calls/{heavy}/": "call that has much", "apps/{application}/": "application"}
