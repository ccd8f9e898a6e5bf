"""Answers how healthy this device is."""

from collections.abc import AsyncGenerator

from node.doctor.examination import examine
from node.requests import DoctorEvent, DoctorRequest
from node.service import Service


async def doctor(service: Service, request: DoctorRequest) -> AsyncGenerator[DoctorEvent, None]:
    """Examine the device, and yield how far that is and what was found."""
    async for event in examine(service, request):
        yield event
