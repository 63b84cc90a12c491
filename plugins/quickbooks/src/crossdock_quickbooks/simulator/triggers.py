"""What a person does in QuickBooks' own pages, as `trigger` tells it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, get_args

from crossdock_quickbooks.simulator.company import reference
from crossdock_quickbooks.simulator.names import Names
from crossdock_quickbooks.simulator.oauth import TokenServer
from crossdock_quickbooks.simulator.payments import Payments
from crossdock_quickbooks.simulator.sales import Sales
from crossdock_quickbooks.simulator.webhooks import Format, Webhooks

Body = dict[str, Any]
INCOME = {"value": "79", "name": "Sales of Product Income"}
_SWITCHES = ("shuffled", "duplicated", "silent", "held")


class Triggers:
    """Happenings by name; `Simulator.trigger` of the account says what their bodies are."""

    def __init__(self, names: Names, sales: Sales, payments: Payments, tokens: TokenServer, webhooks: Webhooks) -> None:
        self._names = names
        self._sales = sales
        self._payments = payments
        self._tokens = tokens
        self._webhooks = webhooks

    def find(self, event: str) -> Callable[[Body], Body] | None:
        """What happens at that event; None for one that is not known."""
        subject, _, verb = event.partition(".")
        happenings: dict[str, Callable[[str, Body], Body]] = {
            **dict.fromkeys(("customer.create", "vendor.create", "employee.create", "item.create"), self._made),
            **dict.fromkeys(("customer.deactivate", "item.deactivate"), self._deactivated),
            "payment.create": self._paid,
            **dict.fromkeys(("payment.void", "payment.delete"), self._unpaid),
            **dict.fromkeys(("invoice.void", "invoice.delete"), self._cancelled),
            "invoice.edit": self._edited,
            **dict.fromkeys(("token.expire", "token.revoke", "token.reconnect"), self._token),
            "webhooks.set": self._set,
        }
        found = happenings.get(event)
        named = subject if found in (self._made, self._deactivated) else verb
        return (lambda body: found(named, body)) if found else None

    def _made(self, subject: str, body: Body) -> Body:
        entity = subject.capitalize()
        given = {"IncomeAccountRef": INCOME, "Type": "Service"} | body if entity == "Item" else body
        return {subject: dict(self._names.create(entity, given))}

    def _deactivated(self, subject: str, body: Body) -> Body:
        entity = subject.capitalize()
        rows = self._names.rows[entity].values()
        found = next((r for r in rows if body and all(r.get(k) == v for k, v in body.items())), None)
        if found is None:
            raise ValueError(f"no {subject} is {body}")
        change = {"Id": found["Id"], "SyncToken": found["SyncToken"], "sparse": True, "Active": False}
        return {subject: dict(self._names.update(entity, change))}

    def _paid(self, verb: str, body: Body) -> Body:
        given = body["invoices"] if "invoices" in body else {str(body.get("invoice", "")): body.get("amount")}
        if not isinstance(given, dict) or not given:
            raise ValueError("invoices is to be an object of amounts by invoice id")
        invoices = [self._sales.find("Invoice", str(ident)) for ident in given]
        parts = [
            Decimal(str(invoice["Balance"] if part is None else part))
            for invoice, part in zip(invoices, given.values(), strict=True)
        ]
        lines = [
            {"Amount": part, "LinkedTxn": [{"TxnId": invoice["Id"], "TxnType": "Invoice"}]}
            for invoice, part in zip(invoices, parts, strict=True)
        ]
        whole = sum(parts, Decimal(0))
        total = Decimal(str(body.get("amount", whole))) if "invoices" in body else whole
        customer = {"value": reference(invoices[0], "CustomerRef")}
        payment = self._payments.create({"CustomerRef": customer, "TotalAmt": total, "Line": lines})
        return {"payment": dict(payment), "invoice": dict(invoices[0]), "invoices": [dict(each) for each in invoices]}

    def _unpaid(self, verb: str, body: Body) -> Body:
        seen = self._seen("Payment", body)
        return {"payment": dict(self._payments.void(seen) if verb == "void" else self._payments.delete(seen))}

    def _cancelled(self, verb: str, body: Body) -> Body:
        seen = self._seen("Invoice", body)
        return {"invoice": dict(self._sales.void_invoice(seen) if verb == "void" else self._sales.delete_invoice(seen))}

    def _edited(self, verb: str, body: Body) -> Body:
        change = {k: v for k, v in body.items() if k != "invoice"}
        return {"invoice": dict(self._sales.update_invoice({**change, **self._seen("Invoice", body), "sparse": True}))}

    def _seen(self, entity: str, body: Body) -> Body:
        row = self._sales.find(entity, str(body.get(entity.lower(), "")))
        return {"Id": row["Id"], "SyncToken": row["SyncToken"]}

    def _token(self, verb: str, body: Body) -> Body:
        if verb == "reconnect":
            return {"refresh_token": self._tokens.reconnect()}
        self._tokens.expire()
        self._tokens.revoked = self._tokens.revoked or verb == "revoke"
        return {"refreshes": self._tokens.refreshes}

    def _set(self, verb: str, body: Body) -> Body:
        for name, value in body.items():
            if name == "format" and value in get_args(Format):
                self._webhooks.format = value
            elif name in _SWITCHES and isinstance(value, bool):
                setattr(self._webhooks, name, value)
            else:
                raise ValueError(f"webhooks have no setting {name}: {value}")
        return {"format": self._webhooks.format, **{name: getattr(self._webhooks, name) for name in _SWITCHES}}
