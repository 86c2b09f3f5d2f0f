"""The api. An order is written into Postgres, and packed by the worker."""

from fastapi import FastAPI, HTTPException
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from shop.settings import Settings
from shop.tasks import pack

settings = Settings()
assert settings.app_env == "production" and len(settings.secret_key) == 64
engine = create_async_engine(settings.database_url, pool_size=3, max_overflow=2, pool_timeout=5)
app = FastAPI()


@app.get("/api/v1/monitoring/live")
async def live():
    return {"status": "ok"}


@app.get("/api/v1/monitoring/health")
async def health():
    async with engine.connect() as connection:
        await connection.execute(text("SELECT count(*) FROM orders"))
    return {"status": "ok", "dependencies": {"database": "ok"}}


@app.post("/api/v1/orders")
async def order():
    async with engine.begin() as connection:
        number = await connection.scalar(text("INSERT INTO orders DEFAULT VALUES RETURNING id"))
    pack.delay(number)
    return {"id": number}


@app.get("/api/v1/orders/{number}")
async def look(number: int):
    async with engine.connect() as connection:
        packed = await connection.scalar(text("SELECT packed FROM orders WHERE id = :id"), {"id": number})
    if packed is None:
        raise HTTPException(404)
    return {"id": number, "packed": packed}


@app.get("/metrics")
async def metrics():
    return "for nobody outside"
