"""The texts that customers paste into their programs: right for the URI, and taken by those programs that are installed here."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from voiceapps.rules.diagnosis.snippets import PASSWORD, Reached, curl_create, snippets

USER, APPLICATION = "479fbd44-3362-45f3-bb80-284f21111be4", "15f99d57-f823-4718-80cc-5d95d5b83e59"
REALM = 'a "realm" of ours'
URI = f"sip:{USER}@sip.example.com"
KAMAILIO = """
disable_tcp=yes
listen=udp:127.0.0.1:5999
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
{snippet}
request_route {{ route(SIPURI); }}
"""
BARESIP = """module_path /usr/lib/baresip/modules
sip_listen 127.0.0.1:0
net_interface 127.0.0.1
module g711.so
module_app account.so
module_app menu.so
"""


def reached(transport: str = "udp", *, has_password: bool = True, password: str = "") -> Reached:
    places = {"user": USER, "domain": "sip.example.com", "port": 6160, "realm": REALM, "api": "https://api.example.com"}
    about = {"application_id": APPLICATION, "account_id": "9900000"}
    return Reached(transport=transport, has_password=has_password, password=password, **places, **about)  # type: ignore[arg-type]  # by name


WAYS = [reached(), reached("tcp"), reached("tls"), reached(has_password=False), reached(password="Secret4711")]


def text(name: str, way: Reached) -> str:
    (found,) = [one.text for one in snippets(way) if one.name == name]
    return found


@pytest.mark.parametrize("way", WAYS)
def test_each_calls_the_uri_through_the_proxy(way: Reached) -> None:
    for one in snippets(way):
        if one.name != "curl":
            assert USER in one.text
            assert re.search(r"sip\.example\.com:6160|Port: 6160", one.text)
            assert way.transport in one.text.lower()
        assert "None" not in one.text


@pytest.mark.parametrize("name", ["asterisk", "freeswitch", "kamailio", "fields", "baresip"])
def test_the_password_is_there_once_it_is_known_and_only_where_one_is_asked_for(name: str) -> None:
    assert PASSWORD in text(name, reached())
    assert "Secret4711" in text(name, reached(password="Secret4711"))
    assert not re.search(f"{PASSWORD}|auth_user|auth_username", text(name, reached(has_password=False)))


def test_nothing_shows_the_password_by_accident() -> None:
    assert "Secret4711" not in repr(reached(password="Secret4711"))
    assert "Secret4711" not in text("curl", reached(password="Secret4711"))


@pytest.mark.parametrize("way", WAYS)
def test_asterisk_gets_sections_that_name_each_other(way: Reached) -> None:
    pjsip = text("asterisk", way).partition("; extensions.conf")[0]
    sections = {}
    for section in re.split(r"(?m)^(?=\[)", re.sub(r"(?m)^;.*", "", pjsip)):
        if section.strip():
            # `;` begins a comment unless it is escaped.
            parser = configparser.RawConfigParser(inline_comment_prefixes=None)
            parser.read_string(section)
            (name,) = parser.sections()
            assert not re.search(r"[^\\];", section)
            sections[parser[name]["type"]] = dict(parser[name]) | {"name": name}
    assert sections["aor"]["contact"] == URI
    endpoint = sections["endpoint"]
    assert endpoint["outbound_proxy"] == rf"sip:sip.example.com:6160\;transport={way.transport}\;lr"
    assert (endpoint["aors"], endpoint["transport"]) == (sections["aor"]["name"], sections["transport"]["name"])
    assert sections["transport"]["protocol"] == way.transport
    assert ("auth" in sections, "outbound_auth" in endpoint) == (way.has_password, way.has_password)
    if way.has_password:
        auth = sections["auth"]
        assert (auth["username"], auth["password"], auth["realm"]) == (APPLICATION, way.secret, REALM)


@pytest.mark.parametrize("way", WAYS)
def test_freeswitch_gets_xml_with_a_gateway(way: Reached) -> None:
    gateway = ElementTree.fromstring(text("freeswitch", way)).find("gateway")  # noqa: S314  # our own text
    assert gateway is not None
    parameters = {one.attrib["name"]: one.attrib["value"] for one in gateway}
    assert parameters["username"] == APPLICATION
    assert (parameters["proxy"], parameters["outbound-proxy"]) == ("sip.example.com", way.proxy)
    assert parameters["register"] == "false"
    assert f"sofia/gateway/{gateway.attrib['name']}/{USER}" in text("freeswitch", way)


@pytest.mark.parametrize("way", WAYS)
def test_kamailio_takes_its_routes(way: Reached, tmp_path: Path) -> None:
    program = shutil.which("kamailio") or pytest.skip("kamailio is not installed.")
    config = tmp_path / "kamailio.cfg"
    config.write_text(KAMAILIO.format(snippet=text("kamailio", way)), encoding="utf-8")
    checked = subprocess.run([program, "-c", "-f", config], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stderr
    config.write_text(config.read_text().replace("t_relay()", "t_relay(", 1))
    assert subprocess.run([program, "-c", "-f", config], capture_output=True, timeout=60).returncode != 0


@pytest.mark.parametrize("way", WAYS)
def test_baresip_takes_its_account(way: Reached, tmp_path: Path) -> None:
    program = shutil.which("baresip") or pytest.skip("baresip is not installed.")
    (tmp_path / "config").write_text(BARESIP)
    (tmp_path / "accounts").write_text(text("baresip", way))
    (tmp_path / "contacts").touch()
    command = [program, "-f", str(tmp_path), "-e", "/reginfo", "-t", "1"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    assert "Populated 1 account" in told
    assert f"sip:{APPLICATION}@sip.example.com" in told.partition("User Agents (1)")[2]


def test_the_commands_of_the_shell_are_a_shells(tmp_path: Path) -> None:
    for number, command in enumerate((text("curl", reached()), curl_create("https://api.example.com", "9900000"))):
        script = tmp_path / f"{number}.sh"
        script.write_text(command)
        assert subprocess.run(["/bin/sh", "-n", script], capture_output=True, timeout=60).returncode == 0
