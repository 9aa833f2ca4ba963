"""The routes of every page of the console, with the keys of what `hostile.fill` has stored, and what each page has to say all the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from tests.browser.hostile import WORST

TYPED = quote(WORST[:60])
"""Something that is typed into every filter."""
CALL_TABS = ("ladder", "media", "webhooks", "timeline", "policy", "recordings", "related")
APP_TABS = ("settings", "setup", "trials", "log")


@dataclass(frozen=True)
class Route:
    """One page, and a text of ours that has to be seen on it, whatever stands beside it."""

    name: str
    path: str
    says: str = ""

    def at(self, keys: Mapping[str, str]) -> str:
        """Return its path with the keys filled in; what is typed has braces of its own."""
        path = self.path
        for name, key in keys.items():
            path = path.replace(f"{{{name}}}", key)
        return f"/console/{path}"

    def __str__(self) -> str:
        """Return its name, by which a test of it is called."""
        return self.name


RECORDS = "voiceapps"
ROUTES = (
    Route("console:overview", "", "Live calls"),
    Route("console:live", "live/", "One call is up."),
    Route("console:end_call", "live/{up}/end", "Let it go on"),
    Route("console:calls", "calls/", "webhook failed"),
    Route(
        "console:calls",
        f"calls/?app={TYPED}&account={TYPED}&number={TYPED}&ip={TYPED}&since={TYPED}&id={TYPED}&verdict={TYPED}",
        "Write an application's id",
    ),
    Route("console:calls", f"calls/?id={TYPED}", "No call fits"),
    Route("console:call_files", "calls/files/", "failed"),
    *(Route("console:call", f"calls/{{call}}/?tab={tab}&step=1&step=2", "What to do.") for tab in CALL_TABS),
    Route("console:webhooks", "webhooks/", "Failing hosts"),
    Route("console:webhooks", f"webhooks/?host={TYPED}&event={TYPED}&state={TYPED}&call={TYPED}", "Choose one of failed"),
    Route("console:webhook", "webhooks/{delivery}/", "Tries"),
    Route("console:webhook", "webhooks/{fetched}/", "Tries"),
    Route("console:bench", "bench/?delivery={fetched}&app={application}&ip=198.51.100.7", "A call would not run it"),
    Route("console:bench", f"bench/?app={TYPED}&ip={TYPED}&country={TYPED}", "Would a call enter?"),
    Route("console:refused", "refused/", "The source address is not on the list"),
    Route("console:refused", f"refused/?ip={TYPED}&app={TYPED}&reason={TYPED}", "There is no such reason."),
    Route("console:security", "security/", "Bans in force"),
    Route("console:nodes", "nodes/", "Processes"),
    Route("console:audit", "audit/", "account.set_limits"),
    Route("console:audit", f"audit/?subject={TYPED}&actor={TYPED}&action={TYPED}&account={TYPED}", "Nothing was changed"),
    Route("console:health", "health/", "need a look"),
    Route("console:apps", "apps/", "New application"),
    Route("console:apps", f"apps/?name={TYPED}&account={TYPED}", "New application"),
    Route("console:app_new", "apps/new", "Whose it is"),
    *(Route("console:app", f"apps/{{application}}/?tab={tab}", "Refused, 24 h") for tab in APP_TABS),
    Route("console:app_password", "apps/{application}/password", "Back to the application"),
    *(Route("console:app_order", f"apps/{{application}}/{verb}", "Leave it as it is") for verb in ("rotate", "disable", "delete")),
    Route("console:placed_call", "apps/{application}/placed/{placed}/", "The call was not answered"),
    Route("console:signing_secret", "accounts/{account}/signing-secret/", "Back to the account"),
    Route("console:zone", f"zone/?back={TYPED}", "Show times so"),
    Route("console:second_factor", "second-factor/", "Enrol"),
    Route("console:recovery_codes", "second-factor/recovery-codes/"),
    Route("console:password_change", "password_change/"),
    Route("admin:password_change_done", "password_change/done/"),
    Route("admin:app_list", f"{RECORDS}/"),
    Route("admin:voiceapps_account_changelist", f"{RECORDS}/account/"),
    Route("admin:voiceapps_account_changelist", f"{RECORDS}/account/?q={TYPED}"),
    Route("admin:voiceapps_account_change", f"{RECORDS}/account/{{account}}/change/", "Webhook signing secret"),
    Route("admin:voiceapps_account_history", f"{RECORDS}/account/{{account}}/history/", "Who changed what"),
    Route("admin:voiceapps_account_add", f"{RECORDS}/account/add/"),
    Route("admin:voiceapps_apiclient_changelist", f"{RECORDS}/apiclient/"),
    Route("admin:voiceapps_apiclient_change", f"{RECORDS}/apiclient/{{client}}/change/", "Change log"),
    Route("admin:voiceapps_apiclient_history", f"{RECORDS}/apiclient/{{client}}/history/", "Who changed what"),
    Route("admin:voiceapps_recording_changelist", f"{RECORDS}/recording/"),
    Route("admin:voiceapps_recording_change", f"{RECORDS}/recording/{{recording}}/change/"),
    Route("admin:voiceapps_transcription_changelist", f"{RECORDS}/transcription/"),
    Route("admin:voiceapps_transcription_change", f"{RECORDS}/transcription/{{transcription}}/change/"),
    Route("admin:voiceapps_callsimulation_changelist", f"{RECORDS}/callsimulation/"),
    Route("admin:voiceapps_callsimulation_change", f"{RECORDS}/callsimulation/{{simulation}}/change/", "What a caller would have met"),
    Route("admin:auth_user_changelist", "auth/user/"),
    Route("admin:auth_user_add", "auth/user/add/"),
    Route("admin:auth_user_change", "auth/user/{person}/change/", "Change log"),
    Route("admin:auth_user_history", "auth/user/{person}/history/", "Who changed what"),
    Route("admin:auth_user_delete", "auth/user/{person}/delete/"),
    Route("admin:auth_user_password_change", "auth/user/{person}/password/"),
)
ALIKE = {"admin:index": "console:overview", "admin:password_change": "console:password_change"}
"""Names that lead to another name's page."""
NO_PAGES = {"admin:search", "console:search", "admin:jsi18n", "console:recording", "console:placed_call_heard"}
"""What answers with something else than a page."""
