// The signal protocol: source (TCP client) <-> ingress (TCP server). Written byte by byte in
// gateway/SIGNALS.md.
//
// A source sends Submit frames and may send one again as often as it likes: the ledger drops
// repeats by signal id. An Ack arrives when the configured level holds (`process` or `disk`);
// signals without an Ack must be sent again after a reconnect. Results follow as they happen; a
// source that lost its connection asks for them again by resending the signal.
#pragma once

#include "core/signal.h"
#include "gateway/wire.h"

namespace millrace::signal_wire {

inline constexpr std::uint8_t kVersion = 1;

enum class FrameType : std::uint8_t {
    Challenge = 1,  // S->C first frame after accept
    Login = 2,      // C->S
    Welcome = 3,    // S->C
    Denied = 4,     // S->C reason text, then close
    Submit = 5,     // C->S seq = the client's own number, echoed
    Result = 6,     // S->C SignalResult; Accepted and Duplicate are the acks
    Refused = 7,    // S->C the frame `seq` was not taken: reason and what to do; not in the ledger
    Heartbeat = 8,  // both
};

struct Challenge {
    wire::Nonce nonce;
    std::int64_t server_time_ns;
};
struct Login {
    char source[16];  // configured name
    wire::Mac mac;    // HMAC-SHA256(key of the source, nonce || source)
};
struct Welcome {
    std::uint32_t source_id;
    std::uint32_t ack_level;  // 0 process, 1 disk
    std::int64_t server_time_ns;
};
struct Denied {
    char reason[96];
};
/// Names, not ids: a source knows its groups and symbols by name.
struct Submit {
    std::uint64_t id_hi;
    std::uint64_t id_lo;
    std::uint64_t target_hi;
    std::uint64_t target_lo;
    char group[16];
    char symbol[16];
    std::uint8_t action;      // SignalAction
    std::uint8_t side;        // Side
    std::uint8_t price_kind;  // PriceKind
    std::uint8_t flags;
    std::uint32_t ttl_ms;
    std::int64_t volume;  // 1e-8 lots
    std::int64_t price;   // 1e-8
    std::int64_t stop_loss;
    std::int64_t take_profit;
    std::int64_t reference_price;
    std::int64_t send_time_ns;  // 0 = receipt counts
};
struct Refused {
    std::uint64_t id_hi;
    std::uint64_t id_lo;
    std::uint32_t reason;  // Reason
    std::uint32_t retry;   // 1 = the same frame may be sent again later (back-pressure)
    char text[96];
};

static_assert(sizeof(Submit) == 120 && sizeof(Login) == 48 && sizeof(Refused) == 120);

}  // namespace millrace::signal_wire
