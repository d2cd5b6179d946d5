"""`roundsmith.v1` only grows, measured against the descriptors that were released last."""

from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tests.protos.breaking import breaking_changes
from tests.protos.descriptors import PROTOS, compile_folder, compile_sources

RELEASED = """syntax = "proto3";
package shop.v1;
import "google/protobuf/duration.proto";
option go_package = "example.dev/shop/v1;shopv1";

service ShopService {
  rpc Buy(BuyRequest) returns (BuyResponse);
  rpc Watch(stream BuyRequest) returns (stream BuyResponse);
}
enum SentBy {
  SENT_BY_UNSPECIFIED = 0;
  SENT_BY_BICYCLE = 1;
  reserved 5;
  reserved "SENT_BY_CAR";
}
message BuyRequest {
  string name = 1;
  repeated uint32 counts = 2;
  oneof payer {
    string by_name = 3;
    int64 by_number = 4;
  }
  map<string, double> prices = 6;
  optional string wish = 7;
  SentBy sent_by = 8;
  message Inner {
    bool yes = 1;
  }
  Inner inner = 9;
  reserved 12 to 14;
  reserved "old";
}
message BuyResponse {
  google.protobuf.Duration wait = 1;
}
"""
FILE = "shop/v1/shop.proto"
PAYER = "  oneof payer {\n    string by_name = 3;\n    int64 by_number = 4;\n  }\n"

BROKEN = [
    ("field shop.v1.BuyRequest 1", "  string name = 1;\n", ""),
    ("field shop.v1.BuyRequest 1", "string name = 1", "string title = 1"),
    ("field shop.v1.BuyRequest 1", "string name = 1", "string name = 10"),
    ("field shop.v1.BuyRequest 1", "string name = 1", "bytes name = 1"),
    ("field shop.v1.BuyRequest 1", "string name = 1", "repeated string name = 1"),
    ("field shop.v1.BuyRequest 1", "string name = 1", "optional string name = 1"),
    ("field shop.v1.BuyRequest 1", "name = 1", 'name = 1 [json_name = "n"]'),
    ("field shop.v1.BuyRequest 2", "repeated uint32", "repeated sint32"),
    ("field shop.v1.BuyRequest 3", PAYER, "  string by_name = 3;\n  int64 by_number = 4;\n"),
    ("field shop.v1.BuyRequest 3", "oneof payer", "oneof buyer"),
    ("field shop.v1.BuyRequest.PricesEntry 2", "map<string, double>", "map<string, float>"),
    ("field shop.v1.BuyRequest 7", "optional string wish", "string wish"),
    ("field shop.v1.BuyRequest 8", "SentBy sent_by", "int32 sent_by"),
    ("field shop.v1.BuyRequest.Inner 1", "bool yes", "uint32 yes"),
    ("message shop.v1.BuyRequest.Inner", "Inner", "Core"),
    ("message shop.v1.BuyResponse", "BuyResponse", "BuyAnswer"),
    ("reserved shop.v1.BuyRequest 12 to 14", "  reserved 12 to 14;\n", ""),
    ("reserved shop.v1.BuyRequest old", '  reserved "old";\n', ""),
    ("enum value shop.v1.SentBy 1", "  SENT_BY_BICYCLE = 1;\n", ""),
    ("enum value shop.v1.SentBy 1", "SENT_BY_BICYCLE", "SENT_BY_BIKE"),
    ("enum shop.v1.SentBy", "SentBy", "Transport"),
    ("reserved shop.v1.SentBy 5 to 5", "  reserved 5;\n", ""),
    ("reserved shop.v1.SentBy SENT_BY_CAR", '  reserved "SENT_BY_CAR";\n', ""),
    ("rpc shop.v1.ShopService.Buy", "  rpc Buy(BuyRequest) returns (BuyResponse);\n", ""),
    ("rpc shop.v1.ShopService.Buy", "Buy(BuyRequest)", "Buy(BuyResponse)"),
    ("rpc shop.v1.ShopService.Buy", "returns (BuyResponse)", "returns (BuyRequest)"),
    ("rpc shop.v1.ShopService.Watch", "returns (stream", "returns ("),
    ("rpc shop.v1.ShopService.Watch", "Watch(stream", "Watch("),
    ("service shop.v1.ShopService", "ShopService", "StoreService"),
    ("file shop/v1/shop.proto", "shop/v1;shopv1", "store/v1;storev1"),
]


def test_the_protos_break_nothing_that_was_released() -> None:
    released = FileDescriptorSet.FromString((PROTOS / "released.binpb").read_bytes())
    changes = breaking_changes(released, compile_folder(PROTOS))
    assert not changes, "roundsmith.v1 only grows: keep what was released and add beside it"


@pytest.mark.parametrize(("promise", "old", "new"), BROKEN)
def test_a_broken_promise_is_found(tmp_path: Path, promise: str, old: str, new: str) -> None:
    assert old in RELEASED
    released = compile_sources(tmp_path / "released", {FILE: RELEASED})
    now = compile_sources(tmp_path / "now", {FILE: RELEASED.replace(old, new)})
    assert any(line.startswith(f"{promise} is ") for line in breaking_changes(released, now))


def test_a_deleted_or_moved_file_is_found(tmp_path: Path) -> None:
    released = compile_sources(tmp_path / "released", {FILE: RELEASED})
    now = compile_sources(tmp_path / "now", {"shop/v1/store.proto": RELEASED})
    changes = breaking_changes(released, now)
    assert "file shop/v1/shop.proto is gone" in "\n".join(changes)
    assert any(line.startswith("message shop.v1.BuyResponse is in shop/v1/st") for line in changes)


def test_growth_breaks_nothing(tmp_path: Path) -> None:
    grown = RELEASED.replace(
        "  SENT_BY_BICYCLE = 1;", "  SENT_BY_BICYCLE = 1;\n  SENT_BY_BOAT = 2;"
    )
    grown = grown.replace(
        "  string name = 1;", "  // Whose.\n  string name = 1;\n  bool gift = 20;"
    )
    grown = grown.replace(
        "    int64 by_number = 4;", "    int64 by_number = 4;\n    bytes key = 21;"
    )
    grown = grown.replace(
        "service ShopService {", "service ShopService {\n  rpc Ask(A) returns (B);"
    )
    grown += "message A {}\nmessage B {}\n"
    assert grown.count("\n") == RELEASED.count("\n") + 7
    released = compile_sources(tmp_path / "released", {FILE: RELEASED})
    assert breaking_changes(released, compile_sources(tmp_path / "now", {FILE: grown})) == []
