"""What an RDP server, its certificate, its guest and a screen say, also when all of them are hostile."""

import struct
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import certificates
import pytest
from certificates import DAY, NOW
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from pydantic import SecretStr, ValidationError

from kvm_action.checks.facts import judge
from kvm_action.checks.rdp import check as rdp
from kvm_action.checks.rdp import login, negotiation
from kvm_action.checks.rdp.certificate import Certificate, UnreadableError, read_certificate
from kvm_action.checks.rdp.client import arguments, reason_in
from kvm_action.checks.rdp.handshake import Handshake
from kvm_action.checks.rdp.login import Traces
from kvm_action.checks.rdp.negotiation import Answer, NotRdpError, Security
from kvm_action.checks.rdp.picture import NoPictureError, are_alike, content_of, read_xwd, share_left
from kvm_action.checks.rdp.tools import Tools
from kvm_action.checks.rdp.watch import Visit
from kvm_action.plan.rdp_check import RdpCheck
from kvm_action.results import CheckOutcome

# --- negotiation


def confirm(negotiation_data: bytes, code: int = 0xD0) -> bytes:
    return struct.pack(">BBHHB", 6 + len(negotiation_data), code, 0, 0x1234, 0) + negotiation_data


def test_a_request_is_byte_for_byte_what_the_specification_shows() -> None:
    """[MS-RDPBCGR] 4.1.1, without its cookie."""
    wanted = "03 00 00 13 0e e0 00 00 00 00 00 01 00 08 00 0b 00 00 00"
    assert negotiation.request(Security.TLS | Security.NLA | Security.NLA_EARLY).hex(" ") == wanted


def test_the_confirmation_in_the_specification_is_understood() -> None:
    """[MS-RDPBCGR] 4.1.2 (its server chose plain RDP), and the same with each other choice."""
    data = bytes.fromhex("03 00 00 13 0e d0 00 00 12 34 00 02 00 08 00 00 00 00 00")
    assert negotiation.length_of(data[:4]) == len(data) - 4
    assert negotiation.answer(data[4:]) == Answer(Security.PLAIN)
    for chosen in (Security.TLS, Security.NLA, Security.NLA_EARLY):
        assert negotiation.answer(confirm(struct.pack("<BBHI", 2, 0, 8, chosen))) == Answer(chosen)


def test_an_old_server_that_confirms_without_negotiating_has_plain_rdp() -> None:
    assert negotiation.answer(confirm(b"")) == Answer(Security.PLAIN)


def test_a_refusal_keeps_its_reason() -> None:
    found = negotiation.answer(confirm(struct.pack("<BBHI", 3, 0, 8, 5)))
    assert (found.refusal, found.reason) == (5, "it wants NLA")
    assert negotiation.answer(confirm(struct.pack("<BBHI", 3, 0, 8, 0))).refusal  # nonsense, and no consent


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"SSH-", "“SSH-”"),
        (b"HTTP", "“HTTP”"),
        (b"\x16\x03\x01\x02", "16 03 01 02"),
        (b"\x03\x00\xff\xff", "65535"),
    ],
)
def test_another_kind_of_server_is_quoted(header: bytes, words: str) -> None:
    with pytest.raises(NotRdpError, match=words):
        negotiation.length_of(header)


@pytest.mark.parametrize(
    "body",
    [
        confirm(struct.pack("<BBHI", 2, 0, 8, 4)),  # a protocol that was not offered
        confirm(struct.pack("<BBHI", 7, 0, 8, 1)),  # neither response nor failure
        confirm(struct.pack("<BBHI", 2, 0, 9, 1)),  # a wrong length
        confirm(b"", code=0xE0),  # our own request, sent back
        confirm(b"xyz"),
        b"\x99" + confirm(b"")[1:],
    ],
)
def test_a_confirmation_that_makes_no_sense_is_not_believed(body: bytes) -> None:
    with pytest.raises(NotRdpError):
        negotiation.answer(body)


@settings(deadline=None)
@given(st.binary(min_size=4, max_size=4), st.binary(min_size=7, max_size=1024))
def test_no_bytes_of_a_server_do_more_harm_than_a_sentence(header: bytes, body: bytes) -> None:
    for read, data in ((negotiation.length_of, header), (negotiation.answer, body)):
        assert complaint_of(read, data).isprintable()


def complaint_of(read: Callable[[bytes], object], data: bytes) -> str:
    """What is said of data that does not please, else what was read."""
    try:
        return str(read(data))
    except (NotRdpError, UnreadableError) as error:
        return str(error)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_what_a_stranger_says_is_quoted_on_one_printable_line(data: bytes) -> None:
    assert negotiation.quoted(data).isprintable()


# --- certificate


def test_the_facts_of_a_certificate() -> None:
    found = read_certificate(certificates.der())
    assert (found.subject, found.self_signed, found.complaint(NOW)) == ("CN=vps", True, "")
    assert f"certificate of CN=vps, self-signed, valid {NOW - DAY:%Y-%m-%d} to" in str(found)
    assert len(found.sha256) == 64


def test_an_expired_certificate_and_one_of_the_future_are_complained_of() -> None:
    found = read_certificate(certificates.der(NOW - 10 * DAY, NOW - 3 * DAY))
    assert f"expired on {NOW - 3 * DAY:%Y-%m-%d} (3 days ago): renew it" in found.complaint(NOW)
    assert "not valid before" in read_certificate(certificates.der(NOW + DAY, NOW + 2 * DAY)).complaint(NOW)


def test_a_certificate_is_not_called_self_signed_because_its_names_say_so() -> None:
    by_itself = certificates.der(subject="vps")
    forged = certificates.der(subject="vpt", issuer="vps").replace(b"vpt", b"vps")
    assert read_certificate(by_itself).self_signed
    assert not read_certificate(forged).self_signed
    assert "issued by CN=ca" in str(read_certificate(certificates.der(issuer="ca")))


def test_a_name_in_a_certificate_cannot_break_out_of_its_line() -> None:
    found = read_certificate(certificates.der(subject="x\n::error::\x1b[31m\u202eevil" + "y" * 40))
    assert str(found).isprintable()


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_bytes_that_are_no_certificate_are_refused(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        read_certificate(data)


@settings(deadline=None)
@given(st.integers(0, 200), st.integers(0, 255))
def test_a_damaged_certificate_is_read_or_refused_but_never_a_crash(at: int, value: int) -> None:
    data = bytearray(_WHOLE)
    data[at] = value
    assert complaint_of(read_certificate, bytes(data)).isprintable()


_WHOLE = certificates.der()

# --- the verdict on a handshake


def judged(hands: Handshake, **keys: bool) -> tuple[CheckOutcome, str]:
    verdict = judge(rdp.handshake_facts(RdpCheck(**keys), hands, NOW))
    return verdict.outcome, verdict.message


TLS = Handshake(nla=False, tls=True, plain=True)
NLA = Handshake(nla=True, tls=False, plain=False)
PLAIN = Handshake(nla=False, tls=False, plain=True)


def test_a_server_with_plain_rdp_security_only_fails_unless_the_plan_accepts_that() -> None:
    outcome, message = judged(PLAIN)
    assert (outcome, "offers plain RDP security only" in message) == (CheckOutcome.FAILED, True)
    assert judged(PLAIN, tls=False)[0] is CheckOutcome.PASSED
    assert judged(NLA)[0] is CheckOutcome.PASSED


def test_nla_may_be_asked_for_and_may_be_unwanted() -> None:
    assert judged(TLS, nla=True) == (CheckOutcome.FAILED, "port 3389 does not offer NLA")
    assert judged(NLA, nla=False) == (CheckOutcome.FAILED, "port 3389 lets no client in without NLA")
    assert judged(NLA, nla=True)[0] is judged(TLS, nla=False)[0] is CheckOutcome.PASSED


def test_an_expired_certificate_fails_the_check_and_a_good_one_is_told() -> None:
    old = Certificate("CN=a", "CN=a", True, NOW - 9 * DAY, NOW - DAY, "ab" * 32)
    assert "expired" in judged(Handshake(False, True, False, old))[1]
    assert judged(Handshake(False, True, False, old), tls=False) == (CheckOutcome.PASSED, "")
    good = Certificate("CN=a", "CN=a", True, NOW - DAY, NOW + DAY, "ab" * 32)
    verdict = judge(rdp.handshake_facts(RdpCheck(), Handshake(False, True, False, good), NOW))
    assert verdict.outcome is CheckOutcome.PASSED
    assert "offers TLS, certificate of CN=a, self-signed" in verdict.actual


def test_a_session_that_shows_nothing_says_where_its_picture_is() -> None:
    seen = Visit("the screen stayed blank", flat(), content_of(flat()))
    fact = rdp.session_fact("developer", seen, "screenshots/rdp-developer.png")
    assert (fact.holds, fact.actual) == (
        False,
        "a picture of 640 x 400, 1 colour, 0.0% of it uneven in screenshots/rdp-developer.png",
    )
    assert fact.complaint == "the screen stayed blank (screenshots/rdp-developer.png)"


# --- the plan


@pytest.mark.parametrize(
    "keys",
    [
        {"user": "developer"},
        {"password": SecretStr("x")},
        {"user": "developer", "password": SecretStr("two\nlines")},
        {"user": "developer", "password": SecretStr("")},
        {"required": True},
        {"nla": "yes"},
    ],
)
def test_credentials_that_no_login_could_use_are_refused_in_the_plan(keys: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RdpCheck.model_validate(keys)


def test_a_password_is_in_no_text_of_a_check() -> None:
    check = RdpCheck(user="developer", password=SecretStr("hunter22"))
    assert "hunter22" not in f"{check!r} {check.title} {check.model_dump()}"


# --- pictures


def flat(colour: str = "black") -> Image.Image:
    return Image.new("RGB", (640, 400), colour)


def window(picture: Image.Image, x: int = 50, words: str = "terminal") -> Image.Image:
    draw = ImageDraw.Draw(picture)
    draw.rectangle((x, 40, x + 240, 240), "white")
    draw.text((x + 10, 60), words, "black")
    return picture


def with_pointer(picture: Image.Image) -> Image.Image:
    ImageDraw.Draw(picture).polygon([(320, 200), (320, 216), (332, 211)], "white")
    return picture


def weave() -> Image.Image:
    """What an X server shows on which nobody has drawn."""
    tile = Image.new("RGB", (4, 4))
    for x, y in ((0, 0), (2, 2), (1, 3), (3, 1)):
        tile.putpixel((x, y), (255, 255, 255))
    picture = flat()
    for x in range(0, 640, 4):
        for y in range(0, 400, 4):
            picture.paste(tile, (x, y))
    return picture


@pytest.mark.parametrize("picture", [flat(), flat("teal"), with_pointer(flat()), weave(), with_pointer(weave())])
def test_a_flat_colour_a_bare_x_server_and_a_lonely_pointer_are_blank(picture: Image.Image) -> None:
    assert content_of(picture).is_blank


@pytest.mark.parametrize(
    "picture",
    [window(flat()), window(weave()), Image.effect_noise((640, 400), 60).convert("RGB"),
     Image.linear_gradient("L").resize((640, 400)).convert("RGB")],
)  # fmt: skip
def test_a_window_and_a_wallpaper_are_not_blank(picture: Image.Image) -> None:
    assert not content_of(picture).is_blank


def test_a_clock_that_goes_on_is_the_same_screen_and_a_new_window_is_another() -> None:
    assert are_alike(window(flat(), words="12:00"), window(flat(), words="12:01"))
    assert not are_alike(window(flat()), window(flat(), x=350))
    assert not are_alike(flat(), Image.new("RGB", (1, 1)))


def test_a_login_screen_with_one_more_message_is_still_the_login_screen() -> None:
    login_screen = window(flat(), words="connecting")
    assert share_left(login_screen, window(flat(), words="connecting... login failed")) > 0.9
    assert share_left(login_screen, window(flat(), x=350)) < 0.1  # on the same black ground
    assert share_left(flat(), flat()) == 0


def xwd(picture: Image.Image) -> bytes:
    width, height = picture.size
    header = [0] * 25
    header[0], header[1], header[2], header[3], header[4], header[5] = 104, 7, 2, 24, width, height
    header[11], header[12], header[19] = 32, width * 4, 2
    return struct.pack(">25I", *header) + b"name" + bytes(24) + picture.tobytes("raw", "BGRX")


def test_a_frame_buffer_is_read_in_its_true_colours() -> None:
    picture = window(flat("teal"))
    assert read_xwd(xwd(picture)).tobytes() == picture.tobytes()


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_a_frame_buffer_that_is_half_written_is_no_picture(data: bytes) -> None:
    for cut in (data, xwd(flat())[:-1]):
        with pytest.raises(NoPictureError):
            read_xwd(cut)


# --- what a login leaves in the guest

BEFORE = Traces(are_seen=True, processes=frozenset({"7/environ"}), sizes={"/var/log/xrdp.log": 9})
CREATED = "[20261124-18:17:51] [INFO ] ++ created session (access granted): username developer, ip 127.0.0.1:43832"
RESUMED = "[20261124-18:18:15] [INFO ] ++ reconnected session: username developer, display :10.0, session_pid 27"
REFUSED = "[20261124-18:17:45] [INFO ] AUTHFAIL: user=developer ip=127.0.0.1 time=1795544265"


def traces(*lines: str, processes: tuple[str, ...] = ("7/environ",)) -> Traces:
    said = [*(f"process: {name}" for name in processes), *(f"log: {line}" for line in lines), "sees: all"]
    return login.read_traces("\n".join([*said, "size: 12 /var/log/xrdp.log", "session: \x1b[1mcannot start", ""]))


def test_a_session_of_this_user_with_a_display_is_a_login_and_an_old_one_is_not() -> None:
    assert login.is_logged_in("developer", BEFORE, traces(processes=("7/environ", "8/environ")))
    assert not login.is_logged_in("developer", BEFORE, traces())
    assert login.is_logged_in("developer", BEFORE, traces(RESUMED))
    assert not login.is_logged_in("dev", BEFORE, traces(RESUMED))
    assert not login.is_logged_in("developer", BEFORE, traces(CREATED))  # nothing to be seen of it yet
    assert login.has_begun("developer", BEFORE, traces(CREATED))


def test_a_refused_login_is_known_by_the_servers_log() -> None:
    assert login.is_refused("developer", traces(REFUSED))
    assert not login.is_refused("somebody", traces(REFUSED))
    assert not login.is_refused("developer", traces(RESUMED))


def test_the_last_words_of_a_session_and_the_servers_errors_are_told_without_its_usual_noise() -> None:
    now = traces("[x] [ERROR] X server for display 10 startup timeout", "[x] [ERROR] dynamic_monitor_open: error")
    assert (now.last_words, login.trouble_in(now)) == ("cannot start", "X server for display 10 startup timeout")
    assert now.sizes == {"/var/log/xrdp.log": 12}


@settings(deadline=None)
@given(st.text())
def test_whatever_a_guest_prints_is_read(text: str) -> None:
    login.read_traces(text)


# --- FreeRDP


def test_no_password_is_in_freerdps_command_line() -> None:
    line = arguments(Tools("/X", "/xfreerdp", "/setpriv"), Path("/s/rdp"), "developer")
    assert "/from-stdin:force" in line
    assert not [word for word in line if str(word).startswith(("/p", "/p:"))]


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("[1:2] [1:2] [ERROR][com.freerdp.core] - nla_recv: ERRCONNECT_LOGON_FAILURE [0x00020014]",
         "the server refused user and password (LOGON_FAILURE)"),
        ("ERRCONNECT_ACCOUNT_LOCKED_OUT", "the account is locked (ACCOUNT_LOCKED_OUT)"),
        ("ERRINFO_BRAND_NEW (0x1)", "FreeRDP gave up: BRAND_NEW"),
        ("[18:16:28:929] [232:232] [ERROR][com.freerdp.client.x11] - failed to open display: \n"
         "[18:16:28:929] [232:232] [ERROR][com.freerdp.utils] - 0: /lib/x\n",
         "FreeRDP ended with status 131: failed to open display:"),
        ("", "FreeRDP ended with status 131"),
    ],
)  # fmt: skip
def test_why_freerdp_ended_is_put_in_plain_words(log: str, words: str) -> None:
    assert reason_in(log, 131) == words


@pytest.mark.parametrize(
    ("release", "package"),
    [
        ({"ID": "debian", "VERSION_ID": "12"}, "freerdp2-x11"),
        ({"ID": "debian", "VERSION_ID": "13"}, "freerdp3-x11"),
        ({"ID": "debian"}, "freerdp3-x11"),
    ],
)
def test_what_is_missing_on_the_host_is_named_with_the_command_that_installs_it(
    release: dict[str, str], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: release)
    tools = Tools("", "", "/usr/bin/setpriv")
    assert tools.missing == ("Xvfb", "xfreerdp")
    assert f"Xvfb and xfreerdp: `sudo apt-get install -y xvfb {package}`" in tools.how_to_install
    one = Tools("/usr/bin/Xvfb", "", "/usr/bin/setpriv")
    assert one.how_to_install == f"this host lacks xfreerdp: `sudo apt-get install -y {package}`"


def test_a_session_that_this_host_cannot_open_is_skipped_unless_the_plan_requires_it() -> None:
    tools = Tools("", "", "/usr/bin/setpriv")
    check = RdpCheck(user="developer", password=SecretStr("x"), timeout=timedelta(seconds=1))
    facts = rdp.handshake_facts(check, TLS, NOW)
    assert rdp.without_session(check, facts, tools).outcome is CheckOutcome.SKIPPED
    demanding = check.model_copy(update={"required": True})
    assert rdp.without_session(demanding, facts, tools).outcome is CheckOutcome.ERROR
    bad = rdp.handshake_facts(check, PLAIN, NOW)
    assert rdp.without_session(check, bad, tools).outcome is CheckOutcome.FAILED
