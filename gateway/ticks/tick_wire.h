// The tick protocol: terminals -> millrace-ticks -> consumers. Written byte by byte in
// gateway/TICKS.md. Frames are those of gateway/wire.h.
//
// A terminal numbers the ticks of each symbol (1, 2, 3 ... in a stream whose id it draws at its
// start), so whatever does not arrive is known to be missing; it keeps some hours of them, or asks
// its own history, to answer Backfill. It never waits for us: what its socket does not take is
// passed over, and comes by back-fill.
#pragma once

#include "gateway/wire.h"

namespace millrace::tick_wire {

inline constexpr std::uint8_t kVersion = 1;

enum class FrameType : std::uint8_t {
    Challenge = 1,   // S->T first frame after accept
    Hello = 2,       // T->S
    Welcome = 3,     // S->T
    Denied = 4,      // S->T reason text, then close
    Symbol = 5,      // T->S once a symbol, before its first tick
    Ticks = 6,       // T->S live: TickEntry[1..kEntriesMax]
    Backfill = 7,    // S->T
    History = 8,     // T->S header.seq = Backfill.request: TickEntry[1..kEntriesMax]
    HistoryEnd = 9,  // T->S
    Heartbeat = 10,  // both
    // Between millrace-ticks and consumers: Challenge, Welcome, Denied and Heartbeat too.
    Login = 20,        // C->S answers Challenge
    Name = 21,         // S->C what an index of the entries is
    Snapshot = 22,     // S->C header.seq = packets so far: the latest of some symbols
    Packet = 23,       // S->C by UDP (sealed) or TCP, header.seq = its number:
                       // TickEntry[0..kEntriesMax]; without one: so many packets there are so far
    Ask = 24,          // C->S packets again; how to go on
    Lost = 25,         // S->C packets that are no longer there; a Snapshot follows
    HistoryAsk = 26,   // C->S recorded ticks, header.seq = a number of the consumer's
    Recorded = 27,     // S->C header.seq = that number: TickEntry[1..kEntriesMax], index 0
    RecordedEnd = 28,  // S->C
};

struct Challenge {
    wire::Nonce nonce;
    std::int64_t server_time_ns;
};
struct Hello {
    std::uint64_t login;   // ACCOUNT_LOGIN
    std::uint64_t stream;  // random, not 0, another one whenever the numbers begin anew
    std::uint32_t build;
    std::uint32_t reserved;
    wire::Nonce nonce;  // the server has to answer it in Welcome.mac
    wire::Mac mac;      // HMAC-SHA256(key, Challenge.nonce || all bytes of Hello before mac)
};
struct Welcome {
    std::int64_t server_time_ns;
    wire::Mac mac;  // HMAC-SHA256(key, Hello.nonce || all bytes of Welcome before mac)
};
struct Denied {
    char reason[96];
};
/// How far a symbol is when the connection begins.
struct Symbol {
    std::uint32_t index;        // that Ticks names it by; 0, 1, 2 ... below kSymbolsMax
    std::uint32_t count;        // ticks that share last_time_ns
    char name[16];              // the account's own name
    std::uint64_t seq;          // ticks so far in this stream
    std::int64_t last_time_ns;  // of the last one, or of the last before the stream; 0 = none
};
struct TickEntry {
    std::uint32_t index;
    std::uint32_t same;    // ticks of the symbol before it with its very time; in History 0
    std::uint64_t seq;     // of the symbol in the stream; in History 0
    std::int64_t time_ns;  // the source's, UTC
    std::int64_t bid;      // 1e-8
    std::int64_t ask;
};
/// Ticks of `index` with from <= time <= to, oldest first, at most `limit`.
struct Backfill {
    std::uint64_t request;
    std::uint32_t index;
    std::uint32_t limit;
    std::int64_t from_ns;
    std::int64_t to_ns;
};
struct HistoryEnd {
    std::uint64_t request;
    std::uint32_t flags;  // kHistoryMore | kHistoryFromStart
    std::uint32_t reserved;
};
inline constexpr std::uint32_t kHistoryMore = 1;       // cut at the limit
inline constexpr std::uint32_t kHistoryFromStart = 2;  // the source still has all of the range
struct Heartbeat {
    std::int64_t time_ns;
};

struct Login {
    char name[16];           // of the consumer, as configured
    std::uint32_t udp_port;  // where it receives; 0 = everything by TCP
    std::uint32_t reserved;
    wire::Nonce nonce;
    wire::Mac mac;  // as in Hello
};
struct Name {
    std::uint32_t index;
    std::uint32_t reserved;
    char name[16];  // canonical
};
/// Packets from..to again by TCP (0..0 = none), and from now on all by UDP or by TCP.
struct Ask {
    std::uint64_t from;
    std::uint64_t to;
    std::uint32_t path;   // Path
    std::uint32_t flags;  // kAskSnapshot
};
inline constexpr std::uint32_t kAskSnapshot = 1;  // the latest of all symbols, too
enum class Path : std::uint32_t { AsIs = 0, Udp = 1, Tcp = 2 };
struct Lost {
    std::uint64_t from;
    std::uint64_t to;
};

/// Recorded ticks of a symbol with from <= time <= to, oldest first: `limit` of those behind the
/// first `skip`. One is answered at a time.
struct HistoryAsk {
    char name[16];       // canonical
    std::uint64_t feed;  // login of the account whose terminal told them; 0 = all that did
    std::int64_t from_ns;
    std::int64_t to_ns;
    std::uint32_t limit;  // 1..kHistoryMax
    std::uint32_t skip;   // 0..kHistoryMax: goes on behind ticks of one time
};
struct RecordedEnd {
    std::uint64_t request;
    std::uint32_t flags;  // kHistoryMore, kHistoryRefused, kHistoryTorn
    std::uint32_t reserved;
};
inline constexpr std::uint32_t kHistoryRefused = 4;  // no record here, or too many ask: later
inline constexpr std::uint32_t kHistoryTorn = 8;     // a file of the record ends early
inline constexpr std::uint32_t kHistoryMax = 100'000;

inline constexpr std::size_t kEntriesMax = 24;
inline constexpr std::uint32_t kSymbolsMax = 4'096;

/// Behind a Packet that comes by UDP.
inline constexpr std::size_t kSealBytes = 16;

static_assert(sizeof(Hello) == 88 && sizeof(Welcome) == 40 && sizeof(Symbol) == 40);
static_assert(sizeof(TickEntry) == 40 && sizeof(Backfill) == 32 && sizeof(HistoryEnd) == 16);
static_assert(sizeof(HistoryAsk) == 48 && sizeof(RecordedEnd) == 16);
static_assert(sizeof(Login) == 88 && sizeof(Name) == 24 && sizeof(Ask) == 24);
static_assert(sizeof(wire::FrameHeader) + kEntriesMax * sizeof(TickEntry) + kSealBytes <=
              wire::kFrameBytesMax);

}  // namespace millrace::tick_wire
