"""Programs that come to be updated at different times: one device after the other starts the later version.

Until then it merges and hands on what it does not know; from then on it shows all of that.
"""

from simulations.oracle.checks import check_tables
from simulations.world.device import Device
from simulations.world.local import owe_repairs
from simulations.world.world import World


def update(world: World, device: Device) -> None:
    """Start the later version on a device's store, killed now and then while it lays out and fills its tables."""
    # Whoever exchanges pages with a program that ends begins anew.
    world.transfers = [one for one in world.transfers if device.index not in (one.source, one.destination)]
    killed = world.random.chance(world.plan.kill * 3) and device.mortally(device.update, 160)
    if killed:
        device.restart()
    elif device.is_earlier:
        device.update()
    device.declare()
    world.trace.reached("updated")
    world.trace.reached("killed in an update", killed)
    world.trace.reached("updated with a damaged row", bool(device.damaged))
    world.trace.record(f"{device.name} is updated")
    owe_repairs(world, device)
    tables = device.clear_tables(tuple(device.model.declared))
    check_tables(device.store.query, device.model, tables, device.name, "update")
