"""What a host would write on Starlette to verify codes as JSON: `python -m bench.worker DATABASE_URL PORT`.

AsyncMFA on asyncpg, one process of uvicorn. The clock is set by the bench, as everywhere in it.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime

import uvicorn
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bench.population import Clock
from twofold import AsyncMFA, Rejected, Settings

clock = Clock()
mfa = AsyncMFA(create_async_engine(sys.argv[1], pool_size=16, max_overflow=0), Settings(), clock=clock)


async def verify(request: Request) -> Response:
    """Answer a challenge."""
    asked = await request.json()
    try:
        verified = await mfa.verify(asked["challenge"], asked["code"], request=request)
    except Rejected as rejected:
        return JSONResponse({"reason": rejected.reason}, status_code=401)
    return JSONResponse({"user": verified.user_id})


async def at(request: Request) -> Response:
    """Set the clock; return the seconds of CPU that were used."""
    clock.now = datetime.fromisoformat((await request.body()).decode())
    return JSONResponse(time.process_time())


routes = [Route("/verify", verify, methods=["POST"]), Route("/at", at, methods=["POST"])]
# The connections wait while others are measured.
uvicorn.run(
    Starlette(routes=routes), port=int(sys.argv[2]), log_level="warning", access_log=False, timeout_keep_alive=3600
)
