"""OAuth 2 grants that need no refresh token: whoever can prove who they are is given a token whenever they ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import SecretStr

from crossdock_sdk.contracts.connection import Context, Token
from crossdock_sdk.http.oauth2 import OAuth2Tokens


class OAuth2Minted(OAuth2Tokens):
    """Bearer tokens that are minted anew: client credentials (RFC 6749, 4.4), JWT bearer (RFC 7523).

    `form` gives the whole form of one request, `grant_type` included; it is called for every request, for an
    assertion lasts minutes. `secrets` name its fields that are masked for as long as the connection lives.
    """

    mend = "check that the app may use this grant, for this user, at this address"

    def __init__(
        self,
        context: Context,
        *,
        token_url: str,
        form: Callable[[], Mapping[str, str]],
        secrets: tuple[str, ...] = ("client_secret", "assertion", "client_assertion"),
        early: float = 60.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(context, token_url=token_url, early=early, headers=headers)
        self._form = form
        self._secrets = secrets
        self._shown: tuple[str, ...] = ()

    async def _granted(self, stored: Token | None) -> Token:
        form = self._form()
        shown = tuple(form[name] for name in self._secrets if form.get(name))
        self._context.redactor.add(*shown)
        for superseded in set(self._shown) - set(shown):
            self._context.redactor.forget(superseded)
        self._shown = shown
        return await self._grant(stored, form)


def client_credentials(client_id: str, client_secret: SecretStr, **more: str) -> Callable[[], Mapping[str, str]]:
    """The form of the client credentials grant, for `OAuth2Minted`; `more` are fields such as `scope`."""

    def form() -> Mapping[str, str]:
        secret = client_secret.get_secret_value()
        return {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret} | more

    return form
