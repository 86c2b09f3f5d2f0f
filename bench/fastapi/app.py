"""The health endpoint of a stack as guides for FastAPI build it, for ./dev bench: it asks Postgres and Redis each time."""

import os
from contextlib import asynccontextmanager

import asyncpg
import redis.asyncio as redis
from fastapi import FastAPI


@asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.database = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=20, max_size=20)
    # It waits for a free connection. The default pool fails instead when more than ten requests come at once.
    pool = redis.BlockingConnectionPool.from_url(os.environ["REDIS_URL"], max_connections=10)
    app.state.redis = redis.Redis.from_pool(pool)
    yield
    await app.state.redis.aclose()
    await app.state.database.close()


app = FastAPI(lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    await app.state.database.fetchval("SELECT 1")
    await app.state.redis.ping()
    return {"status": "ok", "database": "ok", "redis": "ok"}
