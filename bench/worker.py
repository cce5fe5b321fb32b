"""An application of one route that verifies codes as JSON: `python -m bench.worker DATABASE_URL PORT`, for the bench.

It is what a host would write on Starlette: AsyncMFA on asyncpg, one process of uvicorn. The
clock is set by the bench, as everywhere in it.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING

import uvicorn
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bench.people import Clock
from twofold import AsyncMFA, Rejected, Settings

if TYPE_CHECKING:
    from starlette.requests import Request

CLIENTS = 16


def application(url: str) -> Starlette:
    """Make it."""
    engine = create_async_engine(url, pool_size=CLIENTS, max_overflow=0)
    clock = Clock()
    mfa = AsyncMFA(engine, Settings(), clock=clock)

    async def verify(request: Request) -> Response:
        asked = await request.json()
        try:
            verified = await mfa.verify(asked["challenge"], asked["code"], request=request)
        except Rejected as rejected:
            return JSONResponse({"reason": rejected.reason}, status_code=401)
        return JSONResponse({"user": verified.user_id})

    async def at(request: Request) -> Response:
        clock.now = datetime.fromisoformat((await request.body()).decode())
        return JSONResponse({"cpu": time.process_time()})

    return Starlette(routes=[Route("/verify", verify, methods=["POST"]), Route("/at", at, methods=["POST"])])


if __name__ == "__main__":
    # The connections wait while others are measured.
    app, port = application(sys.argv[1]), int(sys.argv[2])
    uvicorn.run(app, port=port, log_level="warning", access_log=False, timeout_keep_alive=3600)
