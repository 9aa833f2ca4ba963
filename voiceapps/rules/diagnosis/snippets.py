"""What a customer types into a PBX, an SBC or a telephone to reach a SIP URI: facts in, texts out, ready to be pasted.

All of them say the same: call the URI as it is (request URI and To alike), send everything to our proxy, answer the challenge as the
application. None registers: the proxy has no registrar.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from xml.sax.saxutils import quoteattr

PASSWORD = "PASSWORD"  # noqa: S105  # stands where the password goes


@dataclass(frozen=True, slots=True)
class Reached:
    """How an application is reached."""

    user: str
    """The user part of its SIP URI."""
    domain: str
    port: int
    """Of the proxy, which is found at the domain."""
    transport: str
    """`udp`, `tcp` or `tls`."""
    application_id: str
    realm: str
    account_id: str
    api: str
    """The base URL of the API."""
    has_password: bool
    password: str = field(default="", repr=False)
    """Empty where it is not known any more: then its place is marked."""

    @property
    def uri(self) -> str:
        """The SIP URI."""
        return f"sip:{self.user}@{self.domain}"

    @property
    def proxy(self) -> str:
        """The proxy as a SIP URI."""
        return f"sip:{self.domain}:{self.port};transport={self.transport}"

    @property
    def secret(self) -> str:
        """The password, or the word that stands where it goes."""
        return self.password or PASSWORD


@dataclass(frozen=True, slots=True)
class Snippet:
    """A text for one program, and where it goes."""

    name: str
    title: str
    place: str
    text: str


def snippets(reached: Reached) -> tuple[Snippet, ...]:
    """Return the texts for every program that we know."""
    return tuple(Snippet(name, title, place, make(reached)) for name, title, place, make in _PROGRAMS)


def asterisk(reached: Reached) -> str:
    """Return sections of pjsip.conf, in which `;` begins a comment unless it is escaped, and a line of the dial plan."""
    auth, outbound = "", ""
    if reached.has_password:
        outbound = "outbound_auth = sipuri\n"
        auth = f"""
[sipuri]
type = auth
auth_type = userpass
username = {reached.application_id}
password = {_asterisk(reached.secret)}
realm = {_asterisk(reached.realm)}
"""
    return f"""; pjsip.conf
[sipuri-transport]
type = transport
protocol = {reached.transport}
bind = 0.0.0.0{":5061" if reached.transport == "tls" else ""}

[sipuri]
type = endpoint
transport = sipuri-transport
aors = sipuri
{outbound}outbound_proxy = {_asterisk(f"{reached.proxy};lr")}
from_user = {reached.application_id}
from_domain = {reached.domain}
disallow = all
allow = ulaw,alaw
dtmf_mode = rfc4733
direct_media = no
{"media_encryption = sdes" + chr(10) if reached.transport == "tls" else ""}
[sipuri]
type = aor
contact = {reached.uri}
{auth}
; extensions.conf
exten => 700,1,Dial(PJSIP/sipuri)
"""


def freeswitch(reached: Reached) -> str:
    """Return a gateway of the external profile, and the action that calls through it."""
    parameters = {
        "username": reached.application_id,
        "password": reached.secret if reached.has_password else "none",
        "realm": reached.realm,
        "from-user": reached.application_id,
        "from-domain": reached.domain,
        "proxy": reached.domain,
        "outbound-proxy": reached.proxy,
        "register": "false",
        "register-transport": reached.transport,
        "contact-params": f"transport={reached.transport}",
    }
    lines = "\n".join(f"    <param name={quoteattr(name)} value={quoteattr(value)}/>" for name, value in parameters.items())
    target = f"sofia/gateway/sipuri/{reached.user}"
    if reached.transport == "tls":
        target = f"{{rtp_secure_media=true}}{target}"
    return f"""<include>
  <gateway name="sipuri">
{lines}
  </gateway>
</include>
<!-- dial plan: -->
<!-- <action application="bridge" data={quoteattr(target)}/> -->
"""


def kamailio(reached: Reached) -> str:
    """Return two routes; the second one answers the challenge."""
    relay = f"""    $ru = "{reached.uri}";
    # To names the same user as the request URI, or the call is refused.
    uac_replace_to("", "{reached.uri}");
    $du = "{reached.proxy}";
"""
    credential = challenge = failure = ""
    modules = "tm.so, sl.so, rr.so, pv.so" + (" and tls.so, with enable_tls=yes" if reached.transport == "tls" else "")
    if reached.has_password:
        names = ("realm", "username", "password")
        credential = "".join(f'modparam("uac", "auth_{name}_avp", "$avp(sipuri_{name})")\n' for name in names)
        challenge = '    t_on_failure("SIPURI_CHALLENGED");\n'
        failure = f"""
failure_route[SIPURI_CHALLENGED] {{
    if (t_is_canceled()) exit;
    $avp(sipuri_realm) = {_quoted(reached.realm)};
    $avp(sipuri_username) = "{reached.application_id}";
    $avp(sipuri_password) = {_quoted(reached.secret)};
    if (t_check_status("401|407") && uac_auth()) {{
        $du = "{reached.proxy}";
        if (!t_relay()) t_reply("503", "Service Unavailable");
    }}
}}
"""
    return f"""# kamailio.cfg, after {modules}:
loadmodule "uac.so"
{credential}
# In request_route, for the calls that are meant: route(SIPURI);
route[SIPURI] {{
{relay}{challenge}    record_route();
    if (!t_relay()) sl_reply_error();
    exit;
}}
{failure}"""


def fields(reached: Reached) -> str:
    """Return the fields that 3CX and PBXs like it ask for, a line each."""
    rows = [
        ("Trunk type", "generic SIP trunk, no registration"),
        ("Registrar/server/gateway hostname or IP", reached.domain),
        ("Port", str(reached.port)),
        ("Outbound proxy", f"{reached.domain}:{reached.port}"),
        ("Transport", reached.transport.upper()),
    ]
    if reached.has_password:
        rows += [
            ("Type of authentication", "outbound, without registration"),
            ("Authentication ID (SIP user ID)", reached.application_id),
            ("Authentication password", reached.secret),
            ("Realm", reached.realm),
        ]
    else:
        rows += [("Type of authentication", "none (by IP address)")]
    rows += [
        ("Outbound parameters: Request line URI, user part", reached.user),
        ("Outbound parameters: To, user part", reached.user),
        ("Codecs", "G.711 U-law, G.711 A-law"),
        ("DTMF", "RFC 4733 (RFC 2833)"),
        ("Audio", "SRTP (SDES)" if reached.transport == "tls" else "RTP"),
    ]
    return "".join(f"{label}: {value}\n" for label, value in rows)


def baresip(reached: Reached) -> str:
    """Return a line of ~/.baresip/accounts, and the command that calls."""
    parameters = ["regint=0"]
    if reached.has_password:
        parameters += [f"auth_user={reached.application_id}", f"auth_pass={reached.secret}"]
    parameters += [f'outbound="{reached.proxy}"', "audio_codecs=PCMU,PCMA"]
    if reached.transport == "tls":
        parameters.append("mediaenc=srtp")
    account = f"<sip:{reached.application_id}@{reached.domain};transport={reached.transport}>;{';'.join(parameters)}"
    return f"""# ~/.baresip/accounts
{account}

# and then:
# baresip -e "/dial {reached.uri}"
"""


def curl(reached: Reached) -> str:
    """Return commands that read the application, and why attempts were refused, by the API."""
    base = f"{reached.api}/v2/accounts/{reached.account_id}/voice-applications/{reached.application_id}"
    return f"""TOKEN=$(curl -s -u "$CLIENT_ID:$CLIENT_SECRET" -d grant_type=client_credentials \\
  {reached.api}/api/v1/oauth2/token | sed -E 's/.*"access_token": *"([^"]+)".*/\\1/')
curl -s -H "Authorization: Bearer $TOKEN" {base}
curl -s -H "Authorization: Bearer $TOKEN" {base}/refused-attempts
"""


def curl_create(api: str, account_id: str) -> str:
    """Return the command that makes an application and enables its SIP URI, by the API."""
    body = '{"applicationName": "My Voice App", "callInitiatedCallbackUrl": "https://backend.example.com/initiate",'
    return f"""curl -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
  -d '{body}
       "inboundSipCallsEnabled": true, "passwordAuthEnabled": true}}' \\
  {api}/v2/accounts/{account_id}/voice-applications
"""


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _asterisk(value: str) -> str:
    return value.replace(";", "\\;")


_PROGRAMS: tuple[tuple[str, str, str, Callable[[Reached], str]], ...] = (
    ("asterisk", "Asterisk (PJSIP)", "pjsip.conf and extensions.conf", asterisk),
    ("freeswitch", "FreeSWITCH", "conf/sip_profiles/external/sipuri.xml", freeswitch),
    ("kamailio", "Kamailio", "kamailio.cfg", kamailio),
    ("fields", "3CX and PBXs with forms", "the fields of a SIP trunk", fields),
    ("baresip", "baresip", "~/.baresip/accounts", baresip),
    ("curl", "curl", "a shell; client id and secret are those of the API", curl),
)
