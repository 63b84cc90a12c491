"""Salesforce as a sink."""

from __future__ import annotations

from typing import Any, ClassVar

from crossdock_sdk import Action, Sink

from crossdock_salesforce.connection import SalesforceConnection
from crossdock_salesforce.making import RecordCreateAction, RecordDeleteAction, RecordUpsertAction
from crossdock_salesforce.updates import DealUpdateAction, RecordUpdateAction


class SalesforceSink(Sink):
    connection_class = SalesforceConnection
    actions: ClassVar[tuple[type[Action[Any]], ...]] = (
        DealUpdateAction,
        RecordCreateAction,
        RecordUpsertAction,
        RecordUpdateAction,
        RecordDeleteAction,
    )
