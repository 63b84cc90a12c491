"""A simulated Pipedrive company account over real HTTP.

It enforces what v2 enforces about bodies, tells of deals by webhooks v2, and answers with Pipedrive's error
bodies. It does not play what nobody here can know: no search index.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from crossdock_sdk.testing import Refusal, Simulator, Standing, key_after
from starlette.routing import BaseRoute

from crossdock_pipedrive.simulator import hooks, stories
from crossdock_pipedrive.simulator.admission import Admission
from crossdock_pipedrive.simulator.api import Api
from crossdock_pipedrive.simulator.world import Happening, Row, World
from crossdock_pipedrive.sink import NOTE_MARK

_TOKEN = "pipedrive-simulator-token-no-secret"  # noqa: S105 — opens nothing but a simulator
_HOOK_USER = "pipedrive-simulator"
_HOOK_PASSWORD = "pipedrive-simulator-password-no-secret"  # noqa: S105 — as above
_UNLIMITED = 10_000
_PRODUCTS = (
    ("CONSULT-DAY", "Consulting day", "1200"),
    ("SETUP", "Setup", "450"),
    ("LICENSE-YR", "Licence, one year", "1188"),
    ("SUPPORT-MO", "Support, one month", "99.90"),
)
_SEEDED_DEAL: dict[str, Any] = {
    "title": "Fernhill rollout",
    "custom": {"Discount": Decimal(10), "Lead score": Decimal(72), "Industry": "Manufacturing"},
    "organization": {
        "name": "Fernhill Instruments GmbH",
        "address": {
            "value": "Lindenweg 7, 80331 München, Germany",
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


class PipedriveSimulator(Simulator):
    """One account. `burst` requests per two seconds and `daily_tokens` are unlimited where None.

    `bans`: webhooks that fail are banned and removed, as Pipedrive does; else they are sent to for ever, so that a
    server that is started late misses nothing. `delays` are the seconds before each redelivery of a webhook.

    Events to `trigger`: `deal.won`, `deal.lost`, `deal.reopened`, `deal.updated`, `deal.deleted` with the deal's `id`,
    the first two also with a description of a new deal; `deal.created` with that; `field.create` with `name`, `type`,
    `options` and `kind` (default deal).
    """

    connector: ClassVar[str] = "pipedrive"

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        delays: Sequence[float] = (3, 30, 150),
        burst: int | None = None,
        daily_tokens: int | None = None,
        bans: bool = False,
    ) -> None:
        self.delays = delays
        self.bans = bans
        self.webhooks: dict[int, Row] = {}
        self._health = hooks.Health(lambda: self.clock())
        # The base's clock may be replaced at any time, so nobody keeps it.
        self.world = World(lambda: self.clock(), self._tell)
        self.admission = Admission(_TOKEN, lambda: self.clock(), burst=burst, daily_tokens=daily_tokens)
        self._api = Api(self.world, self.admission, self.webhooks)
        super().__init__(clock=clock)

    def routes(self) -> Sequence[BaseRoute]:
        return self._api.routes()

    def seed(self) -> None:
        self.world.add_field("deal", "Discount", "double")
        self.world.add_field("deal", "Invoice number", "varchar")
        self.world.add_field("deal", "Invoice status", "varchar")
        self.world.add_field("deal", "Lead score", "double")
        self.world.add_field("deal", "Industry", "enum", ("Manufacturing", "Services", "Public sector"))
        for code, name, price in _PRODUCTS:
            self.world.add_product(code, name, Decimal(price))
        stories.create_deal(self.world, _SEEDED_DEAL)

    def settings(self, url: str) -> dict[str, Any]:
        return {
            "connector": self.connector,
            "base_url": url,
            "api_token": _TOKEN,
            "webhook": {"user": _HOOK_USER, "password": _HOOK_PASSWORD},
            "burst": self.admission.burst or _UNLIMITED,
        }

    def subscribe(self, url: str, settings: Mapping[str, Any]) -> None:
        """All events of deals go to `url`, with the Basic credentials of `settings["webhook"]`."""
        webhook = settings.get("webhook") or {}
        self._api.register(
            {
                "subscription_url": url,
                "event_action": "*",
                "event_object": "deal",
                "name": "Crossdock",
                "http_auth_user": webhook.get("user"),
                "http_auth_password": webhook.get("password"),
            }
        )

    def refusals(self) -> Mapping[str, Refusal]:
        def said(status: int, error: str, code: str) -> Refusal:
            return Refusal(status, {"success": False, "error": error, "code": code, "data": None})

        return {
            "error_200": said(200, "Something went wrong", "ERR_INTERNAL"),
            "unauthorized": said(401, "unauthorized access", "ERR_UNAUTHORIZED"),
            "conflict": said(409, "The deal is being changed", "ERR_CONFLICT"),
            "throttled": said(429, "Request over limit", "ERR_RATE_LIMIT"),
        }

    async def trigger(self, event: str, body: dict[str, Any]) -> dict[str, Any]:
        if event == "field.create":
            return {"field": stories.create_field(self.world, body)}
        told: dict[str, Callable[[], int]] = {
            "deal.created": lambda: stories.create_deal(self.world, body),
            "deal.won": lambda: stories.set_status(self.world, "won", body),
            "deal.lost": lambda: stories.set_status(self.world, "lost", body),
            "deal.reopened": lambda: stories.set_status(self.world, "open", body),
            "deal.updated": lambda: stories.update(self.world, body),
            "deal.deleted": lambda: stories.delete(self.world, body),
        }
        if event not in told:
            raise LookupError(f"the pipedrive simulator knows no event {event!r}; it knows {', '.join(sorted(told))}")
        return {"deal": self._view(told[event]())}

    def state(self) -> dict[str, Any]:
        hidden = ("http_auth_password",)
        return {
            "deals": [self._view(deal_id) for deal_id in self.world.deals],
            "products": list(self.world.products.values()),
            "organizations": list(self.world.organizations.values()),
            "persons": list(self.world.persons.values()),
            "notes": list(self.world.notes.values()),
            "webhooks": [
                {key: value for key, value in hook.items() if key not in hidden} for hook in self.webhooks.values()
            ],
        }

    def standing(self) -> dict[str, list[Standing]]:
        deals = [
            Standing(str(deal_id), {"custom": self._view(deal_id)["custom"]}, made=False)
            for deal_id in self.world.deals
        ]
        notes = [
            Standing(str(note_id), key=key_after(NOTE_MARK, str(note.get("content"))))
            for note_id, note in self.world.notes.items()
        ]
        return {"deal.update": deals, "note.create": notes}

    def _view(self, deal_id: int) -> Row:
        """A deal's JSON with its custom fields by readable name, its lines and its discounts."""
        deal = self.world.deals[deal_id]
        custom = self.world.field_map("deal").read(deal["custom_fields"])
        lines, discounts = self.world.lines[deal_id], self.world.discounts[deal_id]
        return deal | {"custom": custom, "products": list(lines), "discounts": list(discounts)}

    def _tell(self, happening: Happening) -> None:
        fields = self.world.field_map("deal")
        for hook in self.webhooks.values():
            if (self.bans and not self._health.admits(hook)) or not hooks.wants(hook, happening):
                continue
            body = hooks.payload(hook, happening, self.clock(), fields, "simulator.pipedrive.com")
            user, password = hook["http_auth_user"], hook["http_auth_password"]
            self.deliver(
                hook["subscription_url"],
                body,
                auth=(user, password or "") if user else None,
                delays=self.delays,
                retried=hooks.retried,
                noted=self._health.noting(hook),
            )


__all__ = ("PipedriveSimulator",)
