"""The core components whose tables every store has, in the order in which they are registered."""

from node.schemas.conflicts import CONFLICTS
from node.schemas.conversations import CONVERSATIONS
from node.schemas.memories import MEMORIES
from node.schemas.people import PEOPLE
from node.schemas.preferences import PREFERENCES
from node.schemas.projects import PROJECTS
from node.store.schema import Component

CORE_COMPONENTS: tuple[Component, ...] = (PREFERENCES, PEOPLE, CONVERSATIONS, MEMORIES, PROJECTS, CONFLICTS)

__all__ = ["CONFLICTS", "CONVERSATIONS", "CORE_COMPONENTS", "MEMORIES", "PEOPLE", "PREFERENCES", "PROJECTS"]
