"""The worker's part."""

import asyncio
import os

from celery import Celery
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shop.settings import broker

app = Celery("shop", broker=broker())


async def _pack(number: int):
    engine = create_async_engine(os.environ["DATABASE_URL"], poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE orders SET packed = true WHERE id = :id"), {"id": number})
    await engine.dispose()


@app.task
def pack(number: int):
    asyncio.run(_pack(number))
