"""The simulated account: its HTTP face, its doors (token, company, rate), and what can be made to happen."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from xml.sax.saxutils import escape

from crossdock_sdk.testing import Refusal, Simulator, Standing
from crossdock_sdk.testing.simulator import json_request, json_response
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from crossdock_quickbooks.simulator import faults, queries
from crossdock_quickbooks.simulator.capture import Capture
from crossdock_quickbooks.simulator.company import Company
from crossdock_quickbooks.simulator.names import Names
from crossdock_quickbooks.simulator.oauth import CLIENT_ID, CLIENT_SECRET, TokenServer, refresh_token
from crossdock_quickbooks.simulator.payments import Payments
from crossdock_quickbooks.simulator.sales import Sales
from crossdock_quickbooks.simulator.triggers import INCOME, Triggers
from crossdock_quickbooks.simulator.webhooks import RETRIES, Change, Webhooks

REALM = "9130000000000001"
_ENTITIES = {name.lower(): name for name in ("Customer", "Vendor", "Employee", "Item", "Invoice", "Payment")}
_SEED_ITEMS = (
    ("Services", None, "0"),
    ("Consulting day", "CONSULT-DAY", "1200.00"),
    ("Setup", "SETUP", "450.00"),
    ("Licence, one year", "LICENSE-YR", "1188.00"),
    ("Support, one month", "SUPPORT-MO", "99.90"),
)
_VERIFIER = "quickbooks-simulator-verifier-no-secret"
Body = dict[str, Any]
Handler = Callable[[Request], Awaitable[Body]]


class QuickBooksSimulator(Simulator):
    """One company. `company` holds its settings; tests change them in place.

    `limit_per_minute` switches throttling on. `case_sensitive` makes text comparison in queries exact
    (which of the two QuickBooks does is not documented). `delays` are the seconds before each redelivery of a webhook.
    Companies with the same `webhooks` are of one app. Without `keeps_request_ids` a repeated `requestid` is
    executed again.
    """

    connector: ClassVar[str] = "quickbooks"
    lags: ClassVar[bool] = True

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        realm: str = REALM,
        delays: Sequence[float] = RETRIES,
        webhooks: Webhooks | None = None,
    ) -> None:
        self.realm = realm
        self.delays = delays
        self.webhooks = webhooks or Webhooks(self._send)
        self.company = Company(lambda: self.clock(), tell=self._tell)
        self.names = Names(self.company)
        self.sales = Sales(self.company, self.names)
        self.payments = Payments(self.company, self.names, self.sales)
        self.capture = Capture()
        self.tokens = TokenServer(lambda: self.clock())
        self._triggers = Triggers(self.names, self.sales, self.payments, self.tokens, self.webhooks)
        self.limit_per_minute: int | None = None
        self.case_sensitive = False
        self.keeps_request_ids = True
        self._replies: dict[str, Body] = {}
        self._made_with: dict[tuple[str, str], str] = {}
        """The `requestid` with which a record was made, by its kind and id."""
        self._served: deque[datetime] = deque()
        self._count = 0
        super().__init__(clock=clock)

    def routes(self) -> Sequence[BaseRoute]:
        root = "/v3/company/{realm}"
        return [
            Route("/oauth2/v1/tokens/bearer", self.tokens.endpoint, methods=["POST"]),
            Route(f"{root}/query", self._guarded(self._query), methods=["GET", "POST"]),
            Route(f"{root}/cdc", self._guarded(self._cdc), methods=["GET"]),
            Route(f"{root}/preferences", self._guarded(self._preferences), methods=["GET"]),
            Route(f"{root}/companyinfo/{{ident}}", self._guarded(self._company_info), methods=["GET"]),
            Route(f"{root}/invoice/{{ident}}/send", self._guarded(self._mail), methods=["POST"]),
            Route(f"{root}/{{entity}}", self._guarded(self._write), methods=["POST"]),
            Route(f"{root}/{{entity}}/{{ident}}", self._guarded(self._read), methods=["GET"]),
            Route(
                "/{rest:path}",
                self._guarded(self._nothing),
                methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            ),
        ]

    def state(self) -> dict[str, Any]:
        parties = {f"{kind.lower()}s": _copies(self.names.rows[kind]) for kind in ("Customer", "Vendor", "Employee")}
        sold = {f"{kind.lower()}s": _copies(self.sales.rows[kind]) for kind in ("Invoice", "Payment")}
        deleted = [dict(row) for row in self.sales.deleted]
        return {**parties, "items": _copies(self.names.rows["Item"]), **sold, "deleted_invoices": deleted}

    def standing(self) -> dict[str, list[Standing]]:
        customers = [
            Standing(row["Id"], {"name": row["DisplayName"]}, key=self._made_with.get(("Customer", row["Id"])))
            for row in self.names.rows["Customer"].values()
            if row["Active"]
        ]
        invoices = [
            Standing(
                row["Id"],
                {"number": row.get("DocNumber"), "total_with_tax": row["TotalAmt"]},
                key=self._made_with.get(("Invoice", row["Id"])),
            )
            for row in self.sales.rows["Invoice"].values()
            if "Voided" not in str(row.get("PrivateNote"))
        ]
        return {"customer.find_or_create": customers, "invoice.create": invoices}

    def seed(self) -> None:
        for name, sku, price in _SEED_ITEMS:
            known = {"Sku": sku} if sku else {}
            item = {"Name": name, "Type": "Service", "UnitPrice": Decimal(price), "IncomeAccountRef": INCOME}
            self.names.create("Item", item | known)
        customer = {
            "DisplayName": "Mae's Harbour Bakery",
            "PrimaryEmailAddr": {"Address": "mae@harbour-bakery.example"},
        }
        self.names.create("Customer", customer)
        self.names.create("Vendor", {"DisplayName": "Quayside Paper & Ink"})

    def settings(self, url: str) -> dict[str, Any]:
        return {
            "connector": "quickbooks",
            "base_url": url,
            "token_url": f"{url}/oauth2/v1/tokens/bearer",
            "realm_id": self.realm,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "refresh_token": refresh_token(0),
            "environment": "sandbox",
            "webhook": {"verifier_token": _VERIFIER},
        }

    def refusals(self) -> Mapping[str, Refusal]:
        def said(refused: faults.Refused, status: int, **only: str) -> Refusal:
            return Refusal(status, refused.body(self.clock()), {"intuit_tid": "1-simulated-fault"}, **only)

        api = {"path": "/v3/*"}
        busy = "An unexpected error occurred while accessing or saving your data. Please wait a few minutes."
        return {
            "error_200": said(faults.business(busy), 200, **api),
            "unauthorized": said(faults.unauthenticated(), 401, **api),
            "throttled": said(faults.throttled(), 429, **api),
            "stale": said(faults.stale(), 400, **api, content='*"SyncToken"*'),
        }

    def subscribe(self, url: str, settings: Mapping[str, Any]) -> None:
        """The app's one endpoint becomes `url`, signed with the verifier token of `settings["webhook"]`."""
        token = (settings.get("webhook") or {}).get("verifier_token")
        if not token:
            raise ValueError("a delivery needs webhook: {verifier_token: …} to be signed with")
        self.webhooks.endpoint = (url, str(token))

    async def trigger(self, event: str, body: dict[str, Any]) -> dict[str, Any]:
        """`customer|vendor|employee|item.create` take QuickBooks' own fields, `customer|item.deactivate` some
        of them to find the record by. `payment.create` takes `{"invoice", "amount"?}`, or `{"invoices": {id: amount
        or null for all that is owed}, "amount"?}` where `amount` is the whole payment; `payment.void|delete`
        `{"payment"}`, `invoice.void|delete` `{"invoice"}`, `invoice.edit` that and QuickBooks' own fields;
        `token.expire|revoke|reconnect` nothing; `webhooks.set` the switches of `Webhooks` and its `format`.
        """
        happen = self._triggers.find(event)
        if happen is None:
            return await super().trigger(event, body)
        try:
            return happen(body)
        except (faults.Refused, ArithmeticError) as refusal:
            raise ValueError(str(refusal)) from None
        finally:
            self.webhooks.flush()

    def _guarded(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            self._count += 1
            headers = {"intuit_tid": f"1-simulated-{self._count:08d}"}
            try:
                self._enter(request)
                body = await handler(request)
            except faults.Refused as refusal:
                if refusal.status == 401:
                    headers["WWW-Authenticate"] = 'Bearer realm="Intuit", error="invalid_token"'
                return json_response(refusal.body(self.clock()), refusal.status, headers)
            body = body | {"time": self.clock().isoformat(timespec="milliseconds")}
            # QuickBooks answers in XML unless JSON is asked for by name.
            if "application/json" not in request.headers.get("accept", ""):
                return Response(_xml(body), 200, headers, media_type="application/xml")
            return json_response(body, 200, headers)

        return endpoint

    def _enter(self, request: Request) -> None:
        if self.tokens.revoked:
            raise faults.disconnected()
        if not self.tokens.authenticated(request.headers.get("authorization", "")):
            raise faults.unauthenticated()
        if request.path_params.get("realm", self.realm) != self.realm:
            raise faults.foreign_company()
        now = self.clock()
        while self._served and self._served[0] <= now - timedelta(minutes=1):
            self._served.popleft()
        if self.limit_per_minute is not None and len(self._served) >= self.limit_per_minute:
            raise faults.throttled()
        self._served.append(now)

    async def _nothing(self, request: Request) -> Body:
        raise faults.unsupported(request.url.path)

    async def _cdc(self, request: Request) -> Body:
        def rows(entity: str) -> list[Body]:
            every = self._rows(entity).rows[entity]
            return [row for ident, row in every.items() if self.searchable(f"{entity} {ident}")]

        return self.capture.answer(request.query_params, _ENTITIES, rows, self.clock())

    async def _preferences(self, request: Request) -> Body:
        return {"Preferences": self.company.preferences()}

    async def _company_info(self, request: Request) -> Body:
        return {"CompanyInfo": self.company.info(self.realm)}

    async def _read(self, request: Request) -> Body:
        entity = self._entity(request)
        return {entity: self._rows(entity).find(entity, request.path_params["ident"])}

    async def _query(self, request: Request) -> Body:
        posted = (await request.body()).decode() if request.method == "POST" else ""
        statement = posted or request.query_params.get("query", "")
        query = queries.parse(statement)
        every = self._rows(query.entity).rows[query.entity]
        rows = [row for ident, row in every.items() if self.searchable(f"{query.entity} {ident}")]
        return {"QueryResponse": queries.run(query, rows, case_sensitive=self.case_sensitive)}

    async def _mail(self, request: Request) -> Body:
        if request.headers.get("content-type", "") != "application/octet-stream":
            raise faults.unsupported(request.url.path)
        ident, to = request.path_params["ident"], request.query_params.get("sendTo")
        return self._once(request, lambda: {"Invoice": self.sales.send_invoice(ident, to)})

    async def _write(self, request: Request) -> Body:
        entity = self._entity(request)
        try:
            body = await json_request(request)
        except ValueError as error:
            raise faults.unknown_property(f"<not JSON: {error}>", entity) from None
        if not isinstance(body, dict):
            raise faults.unknown_property(type(body).__name__, entity)
        return self._once(request, lambda: {entity: self._told(entity, body, self._written(request, entity, body))})

    def _told(self, entity: str, body: Body, written: Body) -> Body:
        if "Id" not in body:
            self.made(f"{entity} {written['Id']}")
        return written

    def _written(self, request: Request, entity: str, body: Body) -> Body:
        operation = request.query_params.get("operation", "update" if "Id" in body else "create")
        invoice = {
            "void": self.sales.void_invoice,
            "delete": self.sales.delete_invoice,
            "update": self.sales.update_invoice,
        }
        if entity == "Invoice" and operation in invoice:
            return invoice[operation](body)
        if operation == "create" and entity == "Invoice":
            duplicate = request.query_params.get("include") == "allowduplicatedocnum"
            return self.sales.create_invoice(body, allow_duplicate=duplicate)
        if entity == "Payment":
            return self._payment(request, operation, body)
        if operation == "create":
            return self.names.create(entity, body)
        if operation == "update" and entity in self.names.rows:
            return self.names.update(entity, body)
        raise faults.unsupported(f"{operation} of {entity}")

    def _payment(self, request: Request, operation: str, body: Body) -> Body:
        if operation == "create":
            return self.payments.create(body)
        if operation == "delete":
            return self.payments.delete(body)
        if operation == "update" and request.query_params.get("include") == "void":
            return self.payments.void(body)
        raise faults.unsupported(f"{operation} of Payment")

    def _tell(self, entity: str, verb: str, row: Body) -> None:
        at = self.company.now()
        if verb == "deleted":
            self.capture.note(entity, row, at)
        self.webhooks.note(Change(self.realm, entity, verb, row["Id"], datetime.fromisoformat(at)))

    def _send(self, url: str, raw: bytes, signed: str) -> None:
        headers = {"intuit-signature": signed}
        self.deliver(url, raw, headers=headers, delays=self.delays, acknowledged=lambda status: status == 200)

    def _once(self, request: Request, act: Callable[[], Body]) -> Body:
        """Do it, or give the reply that was given to this requestid before, whatever has happened since."""
        key = request.query_params.get("requestid")
        if key is not None and len(key) > 50:
            raise faults.too_long("requestid", 50, len(key))
        if key in self._replies:
            return dict(self._replies[key])
        try:
            done = {name: dict(row) for name, row in act().items()}
        finally:
            self.webhooks.flush()
        new = [(kind, row["Id"]) for kind, row in done.items() if row.get("SyncToken") == "0"]
        self._made_with |= dict.fromkeys(new, key) if key is not None else {}
        if key is not None and self.keeps_request_ids:
            self._replies[key] = done
        return dict(done)

    def _entity(self, request: Request) -> str:
        try:
            return _ENTITIES[request.path_params["entity"]]
        except KeyError:
            raise faults.unsupported(request.url.path) from None

    def _rows(self, entity: str) -> Names | Sales:
        return self.names if entity in self.names.rows else self.sales


def _copies(rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [dict(row) for row in rows.values()]


def _xml(body: Body) -> str:
    return f'<IntuitResponse xmlns="http://schema.intuit.com/finance/v3">{_elements(body)}</IntuitResponse>'


def _elements(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"<{k}>{_elements(v)}</{k}>" for k, v in value.items())
    if isinstance(value, list):
        return "".join(f"<Entry>{_elements(v)}</Entry>" for v in value)
    return escape(str(value))
