"""The protos obey every rule, and every rule can be broken."""

from pathlib import Path

import pytest

from tests.protos.descriptors import PROTOS, compile_folder, compile_sources
from tests.protos.lint import problems

SHOP = """syntax = "proto3";

package shop.v1;

import "google/protobuf/duration.proto";
import "shop/v1/cart.proto";

option go_package = "example.dev/shop/v1;shopv1";

// Sells.
service ShopService {
  // Buys a cart.
  rpc BuyCart(BuyCartRequest) returns (BuyCartResponse);
  // Buys carts.
  rpc BuyCarts(stream BuyCartsRequest) returns (stream BuyCartsResponse);
}

// How it is sent.
enum SentBy {
  // Never sent.
  SENT_BY_UNSPECIFIED = 0;
  // On a bicycle.
  SENT_BY_BICYCLE = 1;
}

// Asks for a cart.
message BuyCartRequest {
  // What to buy.
  Cart cart = 1;
  // How to send it.
  SentBy sent_by = 2;
  // Exactly one is set.
  oneof payer {
    // By name.
    string payer_name = 3;
    // By number.
    int64 payer_number = 4;
  }
  // Names by language.
  map<string, string> names = 5;
  // A wish.
  optional string wish = 6;
}

// How long it takes.
message BuyCartResponse {
  // Until it arrives.
  google.protobuf.Duration wait = 1;
}

// One of many.
message BuyCartsRequest {}

// One of many.
message BuyCartsResponse {}
"""
CART = """syntax = "proto3";

package shop.v1;

option go_package = "example.dev/shop/v1;shopv1";

// What is bought.
message Cart {}
"""
ALONE = CART.replace("Cart", "Alone")
SOURCES = {
    "shop/v1/shop.proto": SHOP,
    "shop/v1/cart.proto": CART,
    "shop/v1/alone.proto": ALONE,
}
SHOP_FILE, _, ALONE_FILE = SOURCES
SECOND_SERVICE = "// More.\nservice OtherService {}\n\n// How it is sent."
ALIAS = "enum SentBy {\n  option allow_alias = true;\n  // Nobody.\n  SENT_BY_NO_UNSPECIFIED = 0;"
JAVA = 'option java_package = "dev.shop";\noption go_package'

BROKEN = [
    ("SYNTAX_SPECIFIED", ALONE_FILE, '"proto3"', '"proto2"'),
    ("PACKAGE_DEFINED", ALONE_FILE, "package shop.v1;", ""),
    ("PACKAGE_DIRECTORY_MATCH", ALONE_FILE, "package shop.v1;", "package store.v1;"),
    ("PACKAGE_LOWER_SNAKE_CASE", ALONE_FILE, "package shop.v1;", "package Shop.v1;"),
    ("PACKAGE_VERSION_SUFFIX", ALONE_FILE, "package shop.v1;", "package shop;"),
    ("PACKAGE_SAME_GO_PACKAGE", ALONE_FILE, "shop/v1;shopv1", "other/v1;otherv1"),
    ("PACKAGE_SAME_JAVA_PACKAGE", ALONE_FILE, "option go_package", JAVA),
    ("GO_PACKAGE_DEFINED", ALONE_FILE, 'option go_package = "example.dev/shop/v1;shopv1";', ""),
    ("IMPORT_USED", SHOP_FILE, "// Sells.", 'import "shop/v1/alone.proto";\n// Sells.'),
    ("IMPORT_USED", SHOP_FILE, "// Sells.", 'import "google/rpc/status.proto";\n// Sells.'),
    ("IMPORT_NO_PUBLIC", SHOP_FILE, 'import "shop', 'import public "shop'),
    ("SERVICE_ALONE", SHOP_FILE, "// How it is sent.", SECOND_SERVICE),
    ("SERVICE_SUFFIX", SHOP_FILE, "service ShopService", "service Shop"),
    ("SERVICE_PASCAL_CASE", SHOP_FILE, "service ShopService", "service shopService"),
    ("RPC_PASCAL_CASE", SHOP_FILE, "rpc BuyCarts", "rpc buyCarts"),
    ("RPC_REQUEST_STANDARD_NAME", SHOP_FILE, "(BuyCartRequest)", "(Cart)"),
    ("RPC_RESPONSE_STANDARD_NAME", SHOP_FILE, "(BuyCartResponse)", "(Cart)"),
    ("RPC_REQUEST_RESPONSE_UNIQUE", SHOP_FILE, "stream BuyCartsResponse", "stream BuyCartResponse"),
    ("MESSAGE_PASCAL_CASE", ALONE_FILE, "message Alone", "message alone"),
    ("FIELD_LOWER_SNAKE_CASE", SHOP_FILE, "string payer_name", "string payerName"),
    ("FIELD_LOWER_SNAKE_CASE", SHOP_FILE, "string> names", "string> Names"),
    ("ONEOF_LOWER_SNAKE_CASE", SHOP_FILE, "oneof payer", "oneof Payer"),
    ("ENUM_PASCAL_CASE", SHOP_FILE, "SentBy", "Sent_By"),
    ("ENUM_VALUE_UPPER_SNAKE_CASE", SHOP_FILE, "SENT_BY_BICYCLE", "SENT_BY_Bicycle"),
    ("ENUM_VALUE_PREFIX", SHOP_FILE, "SENT_BY_BICYCLE", "BICYCLE"),
    ("ENUM_ZERO_VALUE_SUFFIX", SHOP_FILE, "SENT_BY_UNSPECIFIED", "SENT_BY_NOBODY"),
    ("ENUM_NO_ALLOW_ALIAS", SHOP_FILE, "enum SentBy {", ALIAS),
    ("COMMENT_SERVICE", SHOP_FILE, "// Sells.\n", ""),
    ("COMMENT_RPC", SHOP_FILE, "  // Buys carts.\n", ""),
    ("COMMENT_MESSAGE", SHOP_FILE, "// Asks for a cart.\n", ""),
    ("COMMENT_FIELD", SHOP_FILE, "    // By number.\n", ""),
    ("COMMENT_FIELD", SHOP_FILE, "// What to buy.", "//"),
    ("COMMENT_ONEOF", SHOP_FILE, "  // Exactly one is set.\n", ""),
    ("COMMENT_ENUM", SHOP_FILE, "// How it is sent.\n", ""),
    ("COMMENT_ENUM_VALUE", SHOP_FILE, "  // On a bicycle.\n", ""),
]


def test_the_protos_obey_every_rule() -> None:
    assert problems(compile_folder(PROTOS)) == []


def test_a_good_proto_is_found_good(tmp_path: Path) -> None:
    assert problems(compile_sources(tmp_path, SOURCES)) == []


@pytest.mark.parametrize(("rule", "file", "old", "new"), BROKEN)
def test_each_rule_finds_its_violation(
    tmp_path: Path, rule: str, file: str, old: str, new: str
) -> None:
    assert old in SOURCES[file]
    broken = SOURCES | {file: SOURCES[file].replace(old, new)}
    found = problems(compile_sources(tmp_path, broken))
    assert rule in {line.partition(":")[0] for line in found}, found


def test_a_file_name_and_an_import_from_elsewhere_are_found(tmp_path: Path) -> None:
    elsewhere = ALONE.replace("shop", "else")
    importing = ALONE.replace("option", 'import "else/v1/x.proto";\noption', 1)
    importing = importing.replace("{}", "{\n  // Its.\n  else.v1.Alone x = 1;\n}")
    sources = {"else/v1/x.proto": elsewhere, "shop/v1/badName.proto": importing}
    assert problems(compile_sources(tmp_path, sources)) == [
        "FILE_LOWER_SNAKE_CASE: shop/v1/badName.proto",
        "IMPORT_OWN_OR_GOOGLE: shop/v1/badName.proto",
    ]


def test_protos_compile_with_nothing_else_of_the_repository(tmp_path: Path) -> None:
    for proto in PROTOS.rglob("*.proto"):
        target = tmp_path / proto.relative_to(PROTOS)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(proto.read_bytes())
    own = [f.name for f in compile_folder(tmp_path).file if not f.name.startswith("google/")]
    assert sorted(own) == sorted(
        path.relative_to(PROTOS).as_posix() for path in PROTOS.rglob("*.proto")
    )
