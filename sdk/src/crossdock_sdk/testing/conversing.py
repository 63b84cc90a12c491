"""Hold a notifier that converses against its contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from crossdock_sdk import jsonio
from crossdock_sdk.contracts.conversation import ConversationNotifier, Interactive
from crossdock_sdk.contracts.notifier import Alert, AlertAction
from crossdock_sdk.contracts.source import WebhookRequest
from crossdock_sdk.errors import NotFoundError, PayloadError, VerificationError

TOKEN = "a-token.of-the-runtime"  # noqa: S105  stands for one
REPLAY = AlertAction(name="replay", label="Replay", token=TOKEN)


async def hold_conversation(notifier: ConversationNotifier, alert: Alert, shown: Callable[[], Sequence[Any]]) -> None:
    """Post, answer and change a message; raises `AssertionError` where the contract does not hold.

    `shown` gives the messages that people see, oldest first, as anything whose text tells what they say.
    """
    before = len(shown())
    posted = jsonio.plain(await notifier.post(alert, None))
    assert len(shown()) == before + 1, "post shows one message"
    await notifier.post(alert.model_copy(update={"id": f"{alert.id}:reply", "title": "what came after"}), posted)
    assert "what came after" in str(shown()[-1]), "a reply is a message"
    count = len(shown())
    changed = alert.model_copy(update={"title": "all is well", "severity": "good", "story": ("ann saw to it",)})
    for _ in range(2):
        await notifier.update(posted, changed)
        assert len(shown()) == count, "update shows no new message"
        assert "all is well" in str(shown()[before]), "update changes the message that was posted"
        assert "ann saw to it" in str(shown()[before]), "update tells the story"


async def hold_gone(notifier: ConversationNotifier, alert: Alert, posted: dict[str, Any]) -> None:
    """A message that is gone is told by `NotFoundError`, so that it is posted anew."""
    try:
        await notifier.update(posted, alert)
    except NotFoundError:
        return
    raise AssertionError("update of a message that is gone must raise NotFoundError")


def hold_presses(notifier: Interactive, request: WebhookRequest, *, signed: Sequence[str]) -> None:
    """`request` is a signed press of `REPLAY`; `signed` are the headers without which it proves nothing."""
    assert notifier.takes_presses, "it takes presses"
    (press,) = notifier.interactions(request).presses
    assert (press.token, press.action) == (TOKEN, "replay"), "the press carries the token and the action"
    assert press.user_id, "the press says who it was"
    jsonio.dumps(press.answer_to)
    for forged in _forgeries(request, signed):
        try:
            notifier.interactions(forged)
        except VerificationError:
            continue
        except PayloadError:
            raise AssertionError("verify before anything is read of the body") from None
        raise AssertionError(f"a forged press was taken: {forged.headers}")


def _forgeries(request: WebhookRequest, signed: Sequence[str]) -> list[WebhookRequest]:
    def headed(headers: Mapping[str, str]) -> WebhookRequest:
        return replace(request, headers=headers)

    without = [headed({k: v for k, v in request.headers.items() if k != name}) for name in signed]
    spoilt = [headed({**request.headers, name: f"{request.headers[name][:-1]}\u00e9"}) for name in signed]
    return [*without, *spoilt, replace(request, body=request.body + b" "), replace(request, body=b"\xff\xfe")]
