"""Jobs that wait for others, and events, with asyncio. The daemon is at MQ_URL, or at localhost:6789."""

import asyncio

from magicqueue import Job
from magicqueue.aio import JobContext, Queue, Worker


async def handle(job: Job, context: JobContext) -> str:
    await context.update_progress(100)
    return str(job.data)


async def main() -> None:
    async with Queue("films") as queue:
        worker = Worker("films", handle, concurrency=10)
        working = asyncio.create_task(worker.start())
        async with await queue.events("completed") as events:
            parts = await queue.push_many([f"part {number}" for number in range(5)])
            film = await queue.push("the film", depends_on=parts)
            async for event in events:
                if event.job == film:
                    break
        print(await queue.get_result(film), "after", len(parts), "parts")
        worker.stop()
        await working


asyncio.run(main())
