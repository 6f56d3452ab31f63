"""A client that knows nothing of the platform: it asks for the contracts by reflection and makes its messages then.

    python order_client.py ADDRESS TOKEN

Places an order, reads it, watches it while cancelling it, and sends one that is wrong. Prints what it got as JSON.
"""

import json
import sys
import uuid

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

SERVICE = "causeway.orders.v1.OrderService"
TIMEOUT_SECONDS = 20


class Client:
    def __init__(self, channel, token):
        self.channel = channel
        self.metadata = [("authorization", f"Bearer {token}")]
        self.database = ProtoReflectionDescriptorDatabase(channel)
        self.pool = descriptor_pool.DescriptorPool(self.database)
        self.service = self.pool.FindServiceByName(SERVICE)

    def call(self, name, request):
        """The call's answer; of a streaming method the call itself, which yields answers."""
        method = self.service.methods_by_name[name]
        stub = self.channel.unary_stream if method.server_streaming else self.channel.unary_unary
        message = json_format.ParseDict(request, message_factory.GetMessageClass(method.input_type)())
        return stub(
            f"/{SERVICE}/{name}",
            request_serializer=lambda each: each.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )(message, metadata=self.metadata, timeout=TIMEOUT_SECONDS)

    def as_json(self, message):
        return json_format.MessageToDict(message, descriptor_pool=self.pool)


def order(quantity):
    return {
        "orderId": str(uuid.uuid4()),
        "lines": [{"sku": "grinder", "quantity": quantity}],
        "email": "ada@example.com",
        "paymentMethod": "pm_ok",
        "shipTo": {
            "name": "Ada Byron",
            "line1": "12 St James Square",
            "city": "London",
            "postalCode": "SW1Y",
            "countryCode": "GB",
        },
    }


def watched(client, order_id):
    """The order's first two events; the second one is what the cancellation makes."""
    events = []
    call = client.call("WatchOrder", {"orderId": order_id})
    for answer in call:
        events.append(client.as_json(answer.event))
        if len(events) == 2:
            call.cancel()
            break
        client.call("CancelOrder", {"orderId": order_id, "reason": "too late"})
    return events


def refused(client, name, request):
    """What the server says of a call that it refuses, with its details by type."""
    try:
        client.call(name, request)
    except grpc.RpcError as error:
        details = []
        for detail in rpc_status.from_call(error).details:
            kind = getattr(error_details_pb2, detail.TypeName().rpartition(".")[2])()
            detail.Unpack(kind)
            details.append({"type": detail.TypeName(), **json_format.MessageToDict(kind)})
        return {"code": error.code().name, "message": error.details(), "details": details}
    raise AssertionError(f"{name} was not refused")


def main(address, token):
    with grpc.insecure_channel(address) as channel:
        client = Client(channel, token)
        placed = client.as_json(client.call("PlaceOrder", order(quantity=3)))
        order_id = placed["orderId"]
        read = client.as_json(client.call("GetOrder", {"orderId": order_id, "atLeast": [placed["position"]]}))
        print(
            json.dumps(
                {
                    "services": sorted(client.database.get_services()),
                    "placed": placed,
                    "read": read["order"],
                    "events": watched(client, order_id),
                    "wrong": refused(client, "PlaceOrder", order(quantity=0)),
                    "many_wrong": refused(client, "PlaceOrder", {**order(quantity=1), "lines": [{}] * 100}),
                    "unknown": refused(client, "GetOrder", {"orderId": str(uuid.uuid4())}),
                },
                indent=2,
            )
        )


main(*sys.argv[1:])
