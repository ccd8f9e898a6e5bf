"""Connections to other devices: who may connect, whom to call, and one encrypted link each. WebSocket over aiohttp."""
