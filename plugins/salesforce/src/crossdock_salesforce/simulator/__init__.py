"""A simulated Salesforce org over real HTTP.

It enforces what the REST API enforces about sessions, SOQL and bodies, derives what an opportunity derives, and sends
Outbound Messages. It does not play what nobody here can know or wait for: triggers and flows of an org, sharing, API
allowances that come back, the exact order of checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar
from urllib.parse import urlencode

from crossdock_sdk.testing import Refusal, Simulator, Standing
from starlette.routing import BaseRoute

from crossdock_salesforce.simulator import messages, oauth, stories
from crossdock_salesforce.simulator.api import Api
from crossdock_salesforce.simulator.faults import RefusedError, ended, locked, over_limit
from crossdock_salesforce.simulator.org import ORGANIZATION, Org, Row
from crossdock_salesforce.simulator.queries import Queries

_HOOK_TOKEN = "salesforce-simulator-token-no-secret"  # noqa: S105 - opens nothing but a simulator
_PRODUCTS = (
    ("CONSULT-DAY", "Consulting day"),
    ("SETUP", "Setup"),
    ("LICENSE-YR", "Licence, one year"),
    ("SUPPORT-MO", "Support, one month"),
)
_SEEDED: dict[str, Any] = {
    "title": "Fernhill rollout",
    "custom": {"Discount": Decimal(10), "Lead score": Decimal(72), "Industry": "Manufacturing"},
    "organization": {
        "name": "Fernhill Instruments GmbH",
        "address": {
            "route": "Lindenweg",
            "street_number": "7",
            "locality": "München",
            "admin_area_level_1": "Bayern",
            "postal_code": "80331",
            "country": "Germany",
        },
    },
    "person": {"name": "Ines Falk", "email": "ines.falk@fernhill.example", "phone": "+49 89 5550100"},
    "products": [
        {"code": "CONSULT-DAY", "quantity": 3, "unit_price": 1200},
        {"code": "LICENSE-YR", "quantity": 5, "unit_price": 1188, "discount_percent": 5},
    ],
}


class SalesforceSimulator(Simulator):
    """One org. `batch` is the most rows of a query's page, `multicurrency` whether records tell their currency.

    `delays` are the seconds before each redelivery of an Outbound Message. Events to `trigger`: `deal.won`,
    `deal.lost` and `deal.reopened` with the opportunity's `id`, the first two also with a description of a new one,
    as the Pipedrive simulator takes it; `opportunity.create` with that; `deal.edit` and `deal.deleted` with `id`;
    `field.create` with `name`, `type`, `options` and `object`; `lock` with `id` and `times`; `token.expire` and
    `token.reconnect`.
    """

    connector: ClassVar[str] = "salesforce"

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        delays: Sequence[float] = (15, 60, 300),
        batch: int = 2000,
        multicurrency: bool = True,
    ) -> None:
        self.delays = delays
        self.listeners: list[str] = []
        # The base's clock may be replaced at any time, so nobody keeps it; the stages are made before the base is.
        self.clock = clock
        self.tokens = oauth.TokenServer(lambda: self.clock())
        self.org = Org(lambda: self.clock(), self._tell, multicurrency=multicurrency)
        self.queries = Queries(self.org, lambda: self.clock(), batch=batch)
        self.api = Api(self.org, self.tokens, self.queries)
        super().__init__(clock=clock)

    def routes(self) -> Sequence[BaseRoute]:
        return self.api.routes()

    def seed(self) -> None:
        for name, kind in (("Discount", "percent"), ("Invoice number", "string"), ("Invoice status", "string")):
            stories.create_field(self.org, {"name": name, "type": kind})
        stories.create_field(self.org, {"name": "Lead score", "type": "double"})
        industries = ("Manufacturing", "Services", "Public sector")
        stories.create_field(self.org, {"name": "Industry", "type": "picklist", "options": industries})
        for code, name in _PRODUCTS:
            self.org.insert("Product2", {"ProductCode": code, "Name": name, "IsActive": True})
        stories.create(self.org, _SEEDED)

    def settings(self, url: str) -> dict[str, Any]:
        return self._common(url) | {
            "client_secret": oauth.CLIENT_SECRET,
            "refresh_token": oauth.refresh_token(0),
        }

    def settings_by(self, grant: str, url: str) -> dict[str, Any]:
        """The same by another grant: `client_credentials` or `jwt_bearer`."""
        if grant == "client_credentials":
            return self._common(url) | {"client_secret": oauth.CLIENT_SECRET}
        return self._common(url) | {"username": oauth.USERNAME, "private_key": oauth.pem()}

    def subscribe(self, url: str, settings: Mapping[str, Any]) -> None:
        """A Flow sends every save of a won opportunity to `url`, with the token of `settings["webhook"]`."""
        token = (settings.get("webhook") or {}).get("token")
        self.listeners.append(f"{url}?{urlencode({'token': token})}" if token else url)

    def refusals(self) -> Mapping[str, Refusal]:
        def said(error: RefusedError) -> Refusal:
            return Refusal(error.status, error.body)

        unknown = [{"message": "An unexpected error occurred", "errorCode": "UNKNOWN_EXCEPTION"}]
        return {
            "error_200": Refusal(200, unknown),
            "unauthorized": said(ended()),
            "conflict": said(locked()),
            "throttled": said(over_limit()),
        }

    async def trigger(self, event: str, body: dict[str, Any]) -> dict[str, Any]:
        told: dict[str, Callable[[], Row]] = {
            "opportunity.create": lambda: stories.create(self.org, body),
            "deal.won": lambda: stories.set_status(self.org, "won", body),
            "deal.lost": lambda: stories.set_status(self.org, "lost", body),
            "deal.reopened": lambda: stories.set_status(self.org, "open", body),
            "deal.edit": lambda: stories.edit(self.org, body),
            "deal.deleted": lambda: stories.delete(self.org, body),
        }
        other: dict[str, Callable[[], Row]] = {
            "field.create": lambda: {"field": stories.create_field(self.org, body)},
            "lock": lambda: {"lock": stories.lock(self.org, body)},
            "token.expire": self._expire,
            "token.reconnect": lambda: {"refresh_token": self.tokens.reconnect()},
        }
        if event in told:
            row = told[event]()
            return {"deal": stories.view(self.org, row)}
        if event in other:
            return other[event]()
        known = ", ".join(sorted([*told, *other]))
        raise LookupError(f"the salesforce simulator knows no event {event!r}; it knows {known}")

    def state(self) -> dict[str, Any]:
        def named(name: str) -> list[Row]:
            return [row | {"id": row["Id"], "name": row["Name"]} for row in self.org.live(name)]

        return {
            "deals": [stories.view(self.org, row) for row in self.org.live("Opportunity")],
            "organizations": named("Account"),
            "persons": named("Contact"),
            "products": named("Product2"),
            "invoices": named("Invoice__c"),
        }

    def standing(self) -> dict[str, list[Standing]]:
        deals = [
            Standing(row["Id"], {"custom": stories.view(self.org, row)["custom"]}, made=False)
            for row in self.org.live("Opportunity")
        ]
        made = [Standing(row["Id"]) for row in self.org.live("Invoice__c") if row["Crossdock_Key__c"]]
        return {"deal.update": deals, "record.create": made}

    def _common(self, url: str) -> dict[str, Any]:
        return {
            "connector": self.connector,
            "base_url": url,
            "client_id": oauth.CLIENT_ID,
            "organization_id": ORGANIZATION,
            "webhook": {"token": _HOOK_TOKEN},
        }

    def _expire(self) -> Row:
        self.tokens.expire()
        return {}

    def _tell(self, name: str, row: Row) -> None:
        if name != "Opportunity" or not row["IsWon"]:
            return
        for url in self.listeners:
            kind = {"content-type": "text/xml; charset=UTF-8", "soapaction": '""'}
            self.deliver(url, messages.message([row]), headers=kind, delays=self.delays, reads=messages.accepted)


__all__ = ("SalesforceSimulator",)
