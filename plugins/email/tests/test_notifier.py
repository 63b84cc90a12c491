"""One alert becomes one mail, or an error that says what became of it."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import pytest
from crossdock_email import EmailConfig, EmailConnection, EmailNotifier
from crossdock_email.simulator import PASSWORD, EmailSimulator
from crossdock_sdk import (
    Alert,
    AmbiguousError,
    AuthError,
    ConfigError,
    ConnectorError,
    Context,
    RejectedError,
    TransientError,
)

TWO = ["ops@example.com", "Ann of Ops <ann@example.com>"]


async def test_an_alert_is_one_mail_to_all_recipients(open_office: Any, alert: Alert) -> None:
    async with open_office(to=TWO, reply_to="desk@example.com") as office:
        await office.notifier.notify(alert)
    (mail,) = office.messages
    assert (mail["sender"], mail["recipients"]) == ("crossdock@example.com", ["ops@example.com", "ann@example.com"])
    assert mail["to"] == "ops@example.com, Ann of Ops <ann@example.com>"
    assert office.asked() == ["CONNECT", "EHLO", "AUTH", "MAIL", "RCPT", "RCPT", "DATA", "QUIT"]


async def test_a_second_delivery_of_the_same_alert_sends_nothing(office: Any, alert: Alert) -> None:
    await office.notifier.notify(alert)
    await office.notifier.notify(alert)
    assert len(office.messages) == 1
    assert office.asked().count("CONNECT") == 1


async def test_a_retry_after_a_restart_has_the_same_message_id(office: Any, alert: Alert) -> None:
    await office.notifier.notify(alert)
    await office.restarted().notify(alert)
    await office.notifier.notify(alert.model_copy(update={"id": "alert-2"}))
    first, again, other = (mail["message_id"] for mail in office.messages)
    assert first == again != other
    assert len({mail["references"] for mail in office.messages}) == 1


@pytest.mark.parametrize("method", ["CONNECT", "EHLO", "AUTH", "MAIL", "RCPT"])
@pytest.mark.parametrize("kind", ["drop_before", "truncate", "garbage", "status"])
async def test_what_fails_before_the_message_is_transient_and_the_next_try_sends_it_once(
    office: Any, alert: Alert, method: str, kind: str
) -> None:
    office.fault(kind, method, status=451)
    with pytest.raises(TransientError) as caught:
        await office.notifier.notify(alert)
    assert type(caught.value) is TransientError
    assert office.messages == []
    await office.notifier.notify(alert)
    assert len(office.messages) == 1


@pytest.mark.parametrize(("kind", "kept"), [("drop_before", 0), ("drop_after", 1), ("truncate", 1), ("garbage", 1)])
async def test_a_lost_reply_to_the_message_is_ambiguous(office: Any, alert: Alert, kind: str, kept: int) -> None:
    office.fault(kind, "DATA")
    with pytest.raises(AmbiguousError, match="no reply says whether the message was taken") as caught:
        await office.notifier.notify(alert)
    assert caught.value.unanswered
    assert len(office.messages) == kept


async def test_a_server_that_says_nothing_after_the_message_is_ambiguous(open_office: Any, alert: Alert) -> None:
    async with open_office(timeout=1) as office:
        office.fault("latency", "DATA", seconds=60)
        with pytest.raises(AmbiguousError, match="Timed out"):
            await office.notifier.notify(alert)


async def test_a_server_that_does_not_greet_is_transient(open_office: Any, alert: Alert) -> None:
    async with open_office(timeout=1) as office:
        office.fault("latency", "CONNECT", seconds=60)
        with pytest.raises(TransientError, match="nothing was sent") as caught:
            await office.notifier.notify(alert)
    assert caught.value.unanswered


@pytest.mark.parametrize(
    ("code", "error"), [(421, TransientError), (451, TransientError), (552, RejectedError), (554, RejectedError)]
)
async def test_a_refused_message_says_why(office: Any, alert: Alert, code: int, error: type[ConnectorError]) -> None:
    office.fault("status", "DATA", status=code, body=f"{code // 100}.7.1 No thanks")
    with pytest.raises(error, match="No thanks") as caught:
        await office.notifier.notify(alert)
    assert type(caught.value) is error
    assert (caught.value.status, caught.value.code) == (code, f"{code // 100}.7.1")
    assert office.messages == []


async def test_a_quit_that_is_not_answered_costs_nothing(office: Any, alert: Alert) -> None:
    office.fault("drop_before", "QUIT")
    await office.notifier.notify(alert)
    assert len(office.messages) == 1


async def test_no_connection_is_transient(alert: Alert) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {"host": "127.0.0.1", "port": port, "security": "none", "from": "a@b.example", "to": ["c@d.example"]}
    connection = EmailConnection(EmailConfig.model_validate(settings), Context(name="mail"))
    with pytest.raises(TransientError, match="nothing was sent") as caught:
        await EmailNotifier(connection).notify(alert)
    assert caught.value.unanswered
    await connection.close()
    with pytest.raises(TransientError, match="connection mail is closed"):
        await EmailNotifier(connection).notify(alert)


async def test_refused_credentials_are_an_auth_error_and_are_tried_once(office: Any, alert: Alert) -> None:
    await office.simulator.trigger("password.change", {})
    with pytest.raises(AuthError, match=r"login of crossdock: 535 5\.7\.8") as caught:
        await office.notifier.notify(alert)
    assert (caught.value.status, caught.value.code) == (535, "5.7.8")
    assert office.asked().count("AUTH") == 1


async def test_a_server_that_wants_a_login_and_gets_none_is_an_auth_error(open_office: Any, alert: Alert) -> None:
    async with open_office(username=None, password=None) as office:
        with pytest.raises(AuthError, match=r"530 5\.7\.0 Authentication required; see to username and password"):
            await office.notifier.notify(alert)


async def test_a_server_without_logins_is_told_nothing_secret(open_office: Any, alert: Alert) -> None:
    async with open_office() as office:
        office.simulator.credentials = None
        with pytest.raises(ConfigError, match="leave out username and password"):
            await office.notifier.notify(alert)
        assert "AUTH" not in office.asked()


async def test_a_refused_recipient_is_named(office: Any, alert: Alert) -> None:
    await office.simulator.trigger("mailbox.remove", {"address": "ops@example.com"})
    with pytest.raises(RejectedError, match=r"recipient ops@example\.com: 550 5\.1\.1 User unknown") as caught:
        await office.notifier.notify(alert)
    assert (caught.value.field, caught.value.status) == ("to", 550)


async def test_who_is_refused_for_good_costs_a_warning_where_others_are_told(
    open_office: Any, alert: Alert, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_office(to=TWO) as office:
        await office.simulator.trigger("mailbox.remove", {"address": "ops@example.com"})
        await office.notifier.notify(alert)
    assert [mail["recipients"] for mail in office.messages] == [["ann@example.com"]]
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "recipient ops@example.com: 550" in warning


async def test_who_is_put_off_is_sent_it_later_and_the_others_not_again(open_office: Any, alert: Alert) -> None:
    async with open_office(to=TWO) as office:
        await office.simulator.trigger("mailbox.greylist", {"address": "ops@example.com"})
        with pytest.raises(TransientError, match=r"ops@example\.com: 450 4\.2\.0 Greylisted"):
            await office.notifier.notify(alert)
        await office.simulator.trigger("mailbox.restore", {"address": "ops@example.com"})
        await office.notifier.notify(alert)
    assert [mail["recipients"] for mail in office.messages] == [["ann@example.com"], ["ops@example.com"]]
    assert len({mail["message_id"] for mail in office.messages}) == 1


async def test_a_server_that_closes_between_two_recipients_has_been_sent_nothing(
    open_office: Any, alert: Alert
) -> None:
    async with open_office(to=TWO) as office:
        office.fault("status", "RCPT", path="/ann@*", status=421)
        with pytest.raises(TransientError, match=r"recipient ann@example\.com: 421"):
            await office.notifier.notify(alert)
        await office.notifier.notify(alert)
    assert [mail["recipients"] for mail in office.messages] == [["ops@example.com", "ann@example.com"]]


async def test_a_server_that_speaks_something_else_is_transient_and_shown(office: Any, alert: Alert) -> None:
    office.fault("garbage", "CONNECT")
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:\d+: nothing was sent: Malformed .*It works") as caught:
        await office.notifier.notify(alert)
    assert caught.value.unanswered
    assert caught.value.status is None


async def test_of_several_that_are_refused_one_put_off_is_worth_another_try(open_office: Any, alert: Alert) -> None:
    async with open_office(to=TWO) as office:
        await office.simulator.trigger("mailbox.remove", {"address": "ops@example.com"})
        await office.simulator.trigger("mailbox.greylist", {"address": "ann@example.com"})
        with pytest.raises(TransientError, match=r"ops@example\.com: 550 .*; .*ann@example\.com: 450"):
            await office.notifier.notify(alert)
    assert office.messages == []


@pytest.mark.parametrize("implicit", [False, True])
async def test_a_trusted_certificate_lets_the_mail_through(
    open_office: Any, alert: Alert, certificate: Any, implicit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    async with open_office(EmailSimulator(tls=certificate.server, implicit=implicit)) as office:
        await office.notifier.notify(alert)
        assert len(office.messages) == 1
        assert ("STARTTLS" in office.asked()) is not implicit


@pytest.mark.parametrize("implicit", [False, True])
async def test_an_unknown_certificate_is_refused_before_anything_is_told(
    open_office: Any, alert: Alert, certificate: Any, implicit: bool
) -> None:
    async with open_office(EmailSimulator(tls=certificate.server, implicit=implicit)) as office:
        with pytest.raises(ConfigError, match="certificate is not trusted"):
            await office.notifier.notify(alert)
        assert not {"AUTH", "MAIL", "RCPT", "DATA"} & set(office.asked())


async def test_a_certificate_of_another_host_is_refused(
    open_office: Any, alert: Alert, certificate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    async with open_office(EmailSimulator(tls=certificate.server), host="localhost") as office:
        with pytest.raises(ConfigError, match="certificate is not trusted"):
            await office.notifier.notify(alert)
        assert not {"AUTH", "MAIL"} & set(office.asked())


async def test_starttls_never_falls_back_to_plain_text(open_office: Any, alert: Alert) -> None:
    async with open_office(security="starttls") as office:
        with pytest.raises(ConfigError, match="offers no STARTTLS, and nothing was sent"):
            await office.notifier.notify(alert)
        assert office.asked() == ["CONNECT", "EHLO"]


async def test_a_refused_starttls_never_falls_back_to_plain_text(
    open_office: Any, alert: Alert, certificate: Any
) -> None:
    async with open_office(EmailSimulator(tls=certificate.server)) as office:
        office.fault("status", "STARTTLS", status=454)
        with pytest.raises(TransientError, match="STARTTLS: 454"):
            await office.notifier.notify(alert)
        assert not {"AUTH", "MAIL"} & set(office.asked())


async def test_secrets_are_in_no_error_repr_or_log(office: Any, alert: Alert, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    office.fault("status", "AUTH", status=535, body=f"5.7.8 {PASSWORD} is wrong")
    with pytest.raises(AuthError) as caught:
        await office.notifier.notify(alert)
    logged = [record.getMessage() for record in caplog.records]
    seen = f"{caught.value!r} {caught.value.message} {logged} {office.config!r} {vars(office.connection)!r}"
    assert PASSWORD not in seen
    assert "[redacted] is wrong" in caught.value.message


async def test_a_delivery_that_is_cut_off_leaves_no_socket_open(open_office: Any, alert: Alert) -> None:
    async with open_office() as office:
        office.fault("latency", "DATA", seconds=60)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await office.notifier.notify(alert)


async def test_the_memory_of_alerts_is_bounded(office: Any) -> None:
    for number in range(1100):
        office.notifier._remembered(str(number))
    assert len(office.notifier._told) == 1000
