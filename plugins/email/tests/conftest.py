from __future__ import annotations

import contextlib
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from crossdock_email import EmailConfig, EmailConnection, EmailNotifier
from crossdock_email.simulator import EmailSimulator
from crossdock_sdk import Alert, Context, LegReport
from crossdock_sdk.testing import Fault, serve
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Office:
    """A served simulator and a notifier that sends to it."""

    def __init__(self, simulator: EmailSimulator, url: str, **changed: Any) -> None:
        self.simulator = simulator
        settings = simulator.settings(url)
        settings.pop("connector")
        self.config = EmailConfig.model_validate(settings | changed)
        self.context = Context(name="mail")
        self.connection = EmailConnection(self.config, self.context)
        self.notifier = EmailNotifier(self.connection)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return list(self.simulator.state()["messages"])

    def asked(self) -> list[str]:
        return [request["method"] for request in self.simulator.requests]

    def fault(self, kind: Any, method: str, **kwargs: Any) -> None:
        self.simulator.faults.append(Fault(kind=kind, method=method, **kwargs))

    def restarted(self) -> EmailNotifier:
        """A notifier as a new process has it, without memory."""
        return EmailNotifier(self.connection)


Open = Callable[..., contextlib.AbstractAsyncContextManager[Office]]


@pytest.fixture
def open_office() -> Open:
    @contextlib.asynccontextmanager
    async def opened(simulator: EmailSimulator | None = None, **changed: Any) -> AsyncIterator[Office]:
        simulator = simulator or EmailSimulator(clock=lambda: NOW)
        simulator.seed()
        async with serve(simulator) as url:
            office = Office(simulator, url, **changed)
            try:
                yield office
            finally:
                await office.connection.close()

    return opened


@pytest.fixture
async def office(open_office: Open) -> AsyncIterator[Office]:
    async with open_office() as opened:
        yield opened


@dataclass(frozen=True)
class Certificate:
    """A certificate of its own authority, for 127.0.0.1."""

    file: Path
    server: ssl.SSLContext


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.simulated")])
    begin = datetime.now(UTC) - timedelta(hours=1)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return Certificate(file, context)


@pytest.fixture
def alert() -> Alert:
    return Alert(
        id="alert-1",
        title="Acme Ltd: invoice was refused",
        at=NOW,
        flow="deal-to-invoice",
        run="run-7",
        status="rolled_back",
        key="812",
        leg="invoice",
        action="invoice.create",
        connection="books",
        error={
            "kind": "rejected",
            "message": "Item <NOPE> not found & refused",
            "code": "2500",
            "field": "lines[0].sku",
        },
        payload={"customer_id": "58", "lines": [{"sku": "NOPE", "unit_price": Decimal("10.10")}]},
        legs=(
            LegReport(leg="customer", state="undone", id="58", url="https://books.example.com/customer/58"),
            LegReport(leg="invoice", state="failed", note="never made"),
            LegReport(leg="task", state="not reached"),
        ),
        advice="Make the product NOPE in the books, then replay.",
        links={"Run": "https://ops.example.com/runs/run-7", "Deal": "https://acme.example.com/deal/812?a=1&b=2"},
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    )
