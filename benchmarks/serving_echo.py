"""gRPC alone: answers every call with the same bytes, which shows what no gRPC server in Python can save.

python -m benchmarks.serving_echo ANSWER PORT
"""

import asyncio
import sys
from pathlib import Path

import grpc.aio


class SameAnswer(grpc.GenericRpcHandler):
    """Reads no request and writes no answer but the given one."""

    def __init__(self, answer: bytes):
        async def same(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            return answer

        self._handler = grpc.unary_unary_rpc_method_handler(same)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return self._handler


async def serve(answer: bytes, port: int) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([SameAnswer(answer)])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]).read_bytes(), int(sys.argv[2])))
