"""What spans and metrics say of who sends them."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.sdk.resources import Resource


def resource_of(service_name: str, version: str, env: Mapping[str, str]) -> Resource:
    """The process's resource; `service_name` counts where the environment names none."""
    detected = Resource.create({})
    named = env.get("OTEL_SERVICE_NAME")
    if named is None and not str(detected.attributes.get("service.name", "")).startswith("unknown_service"):
        return Resource({"service.version": version}).merge(detected)
    return detected.merge(Resource({"service.name": named or service_name, "service.version": version}))
